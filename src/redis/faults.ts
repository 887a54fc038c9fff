import { isUsherError, UsherError } from '../errors.ts';

/** What Redis says when a key is not what it must be; asking again does not mend it. */
const damaged = /^(WRONGTYPE|USHERTYPE|USHEROUTBOX)\b/;

/** What stopped a read or a write of the state. All but damage may pass: a lost connection, a restart, a failover, full memory. */
export function stateFault(error: unknown, what: string): UsherError {
  if (isUsherError(error)) return error;
  const message = meaningOf(error);
  return new UsherError(damaged.test(message) ? 'DATA_DAMAGED' : 'STATE_UNAVAILABLE', `${what}: ${message}`, {
    cause: error,
  });
}

/** The client names settings of its own where it means the connection. */
function meaningOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'MaxRetriesPerRequestError') return 'the connection was lost before the answer came';
  if (error.message.startsWith("Stream isn't writeable")) return 'there is no connection to Redis at the moment';
  return error.message;
}
