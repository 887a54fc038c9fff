import { encodeProfile, encodeSlots, historicDueOf, wakeAtOf } from '../model/codec.ts';
import type { VisitorWrite } from '../model/commit.ts';
import type { Visitor } from '../model/visitor.ts';

/** What the store keeps of a visitor; null: it is gone. */
export function writeOf(visitor: string, state: Visitor | null): VisitorWrite {
  if (state === null) return { visitor, profile: null, slots: null, wakeAt: null, historicDue: null };
  return {
    visitor,
    profile: encodeProfile(state),
    slots: encodeSlots(state),
    wakeAt: wakeAtOf(state),
    historicDue: historicDueOf(state),
    atRest: state.session === null,
  };
}
