import { isUsherError, UsherError } from '../errors.ts';

/** What Redis says when a key is not what it must be; asking again does not mend it. */
const damaged = /^(WRONGTYPE|USHERTYPE|USHEROUTBOX)\b/;

/** What stopped a read or a write of the state. All but damage may pass: a lost connection, a restart, a failover, full memory. */
export function stateFault(error: unknown, what: string): UsherError {
  if (isUsherError(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new UsherError(damaged.test(message) ? 'DATA_DAMAGED' : 'STATE_UNAVAILABLE', `${what}: ${message}`, {
    cause: error,
  });
}
