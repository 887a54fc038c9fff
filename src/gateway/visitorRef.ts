import { UsherError } from '../errors.ts';
import { isVisitorId } from '../model/shard.ts';
import type { Identity, Scope } from './tokens.ts';

/** A visitor named in an argument; GraphQL checks that exactly one is there. */
export interface VisitorRef {
  readonly visitorId?: string | null | undefined;
  readonly userId?: string | null | undefined;
}

/**
 * Whose events or slots a request is about: the token's visitor, or the one that a secret key names (guarantee 7).
 * @throws UsherError FORBIDDEN, VISITOR_INVALID
 */
export function visitorFor(identity: Identity, ref: VisitorRef | null | undefined, scope: Scope): string {
  if (identity.kind === 'visitor') {
    if (ref !== null && ref !== undefined)
      throw new UsherError('FORBIDDEN', 'a visit token may not name a visitor; it is the visitor');
    return identity.visitor;
  }
  demandScope(identity, scope);
  if (ref === null || ref === undefined)
    throw new UsherError('FORBIDDEN', 'a secret key is no visitor; name one with the argument visitor');
  const id = typeof ref.userId === 'string' ? `u:${ref.userId}` : (ref.visitorId ?? '');
  if (!isVisitorId(id))
    throw new UsherError(
      'VISITOR_INVALID',
      'expected a visitor id of 1 to 128 bytes of UTF-8 without control characters',
    );
  return id;
}

/** @throws UsherError FORBIDDEN when it is not a secret key, or one without the scope */
export function demandScope(identity: Identity, scope: Scope): void {
  if (identity.kind !== 'key')
    throw new UsherError('FORBIDDEN', `this needs a secret key with the scope ${scope}; a visit token came`);
  const has = identity.key.scopes;
  // Importing is writing of another kind: a key for imports alone may name visitors, and intake holds it to imported events.
  if (!has.has(scope) && !(scope === 'write' && has.has('import'))) {
    throw new UsherError(
      'FORBIDDEN',
      `this needs the scope ${scope}; the key ${identity.key.name}… has ${[...has].join(', ')}`,
    );
  }
}
