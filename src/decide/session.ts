import { TraitStates } from '../model/traitStates.ts';
import type { Visitor } from '../model/visitor.ts';

/** A session's idle limit before a playbook says another, ms. */
export const defaultSessionIdleMs = 30 * 60_000;

/**
 * The session that this event belongs to (semantics 10.1). One that has been idle was ended by its timer before; an event that
 * brings another campaign starts a new one. `now` is visitor now, this event included.
 */
export function withSession(visitor: Visitor, now: number, campaign: string | null): Visitor {
  const { session, counts } = visitor;
  if (session !== null && (campaign === null || campaign === session.campaign)) return visitor;
  const number = counts.sessions + 1;
  return {
    ...visitor,
    session: { number, startedAt: now, campaign, traits: TraitStates.none },
    counts: { ...counts, sessions: number },
  };
}
