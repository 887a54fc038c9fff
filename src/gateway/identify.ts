import { randomUUID } from 'node:crypto';
import { isUsherError, UsherError } from '../errors.ts';
import type { IdentifiedRecord } from '../model/record.ts';
import { shardOf } from '../model/shard.ts';
import type { RequestContext } from './context.ts';
import { overloaded } from './intake.ts';
import { limits } from './limits.ts';
import { unlessAway } from './slotReader.ts';
import type { Visit } from './tokens.ts';
import { type UserError, userError } from './userError.ts';

/** A visit as the user, or why there is none. */
export type Identified =
  | { readonly visit: Visit; readonly error: null }
  | { readonly visit: null; readonly error: UserError };

/**
 * The visitor of the visit token is the user that the other token names (semantics 8.1): written down for good, then answered with a
 * visit token of the user. Asking again, after UNKNOWN for instance, changes nothing more.
 * @throws UsherError FORBIDDEN for a secret key
 */
export async function identify(context: RequestContext, token: string): Promise<Identified> {
  const { tokens, identityTokens, queue, log, intake } = context.services;
  const identity = context.identity();
  if (identity.kind === 'key')
    throw new UsherError('FORBIDDEN', 'identify is for the visit token that becomes a known user; a secret key came');
  const { visitor } = identity;
  let user: string;
  try {
    user = `u:${(await identityTokens.verify(token, visitor)).userId}`;
  } catch (error) {
    if (!isUsherError(error)) throw error;
    if (error.code === 'IDENTITY_KEYS_UNAVAILABLE') context.services.logger.error({ err: error }, error.message);
    return refused(userError(error.code, error.message, { path: ['token'] }));
  }
  const known = visitor.startsWith('u:') ? visitor : await aliasOf(context, visitor);
  if (known !== null && known !== user)
    return refused(
      userError('IDENTITY_KNOWN_USER', 'the visit is another known user’s; this one needs a visit of its own'),
    );
  if (known === null) {
    const shard = shardOf(visitor, log.shards);
    if (queue.isFull || intake.lagOf(shard) >= limits.lagRecords) return refused(overloaded(queue.isFull));
    const record: IdentifiedRecord = { v: 1, kind: 'identified', id: randomUUID(), visitor, user };
    const [outcome] = await queue.append([{ shard, key: visitor, value: JSON.stringify(record) }]);
    if (!outcome!.ok) return refused(userError(outcome!.code, outcome!.message));
  }
  return { visit: await tokens.visitOf(user), error: null };
}

/** The user that the visitor has become already, as far as the state tells; where it does not, the fold still knows. */
async function aliasOf({ services, loader }: RequestContext, visitor: string): Promise<string | null> {
  const state = await services.slots.stateOf(visitor, loader).catch(unlessAway);
  return state?.alias ?? null;
}

function refused(error: UserError): Identified {
  return { visit: null, error };
}
