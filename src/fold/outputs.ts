import type { FailedEvent } from '../model/commit.ts';
import { formatPosition } from '../model/record.ts';
import type { Visitor } from '../model/visitor.ts';
import type { FoldContext } from './context.ts';

/** What the fold tells other systems, besides the state (semantics 9.1); schema/outputs has their contracts. */
export type FoldOutput = 'decisions' | 'failed';

export interface SegmentMoves {
  readonly entered: readonly string[];
  readonly left: readonly string[];
}

/** What made a step change a slot or a segment. */
export type DecisionCause =
  | { readonly kind: 'event'; readonly id: string; readonly type: string; readonly offset: number }
  | { readonly kind: 'timer'; readonly name: string; readonly offset: number }
  | { readonly kind: 'touched'; readonly id: string; readonly offset: number }
  /** The visitor turned out to be a known user, and is empty. */
  | { readonly kind: 'identified'; readonly id: string; readonly offset: number }
  /** The user took in what an anonymous visitor was. */
  | { readonly kind: 'merged'; readonly id: string; readonly from: string; readonly offset: number };

/** Tells what the slots that a step changed show now, and which segments were entered and left. `after`: the visitor after the step. */
export function emitDecision(
  context: FoldContext,
  after: Pick<Visitor, 'id' | 'version' | 'historic' | 'slots'>,
  changed: readonly string[],
  segments: SegmentMoves,
  cause: DecisionCause,
  at: number,
): void {
  const { work, offset, appendTime, bundles, settings } = context;
  const { entered, left } = segments;
  if (changed.length + entered.length + left.length === 0 || !settings.outputs.includes('decisions')) return;
  const { offset: causedAt, ...rest } = cause;
  work.emit('decisions', after.id, offset, {
    visitor: after.id,
    version: after.version,
    at,
    appendTime,
    historic: after.historic,
    playbook: bundles?.playbook.version ?? null,
    cause: { ...rest, position: formatPosition(work.shard, causedAt) },
    slots: changed.map((slot) => shownIn(after.slots, slot)),
    segments: { entered, left },
  });
}

/** `+bargain_hunter`, `-gone_quiet`: for people who watch. */
export function segmentSigns({ entered, left }: SegmentMoves): readonly string[] {
  return [...entered.map((id) => `+${id}`), ...left.map((id) => `-${id}`)];
}

/** The first candidate, as it is before what only a read can know (5.2); without one the fallback shows. */
function shownIn(slots: Visitor['slots'], slot: string): object {
  const winner = slots[slot]?.candidates[0];
  if (winner === undefined) return { slot, content: null, rule: null, playbook: null, expiresAt: null, facts: {} };
  const { content, rule, playbook, expiresAt, facts } = winner;
  return { slot, content, rule, playbook, expiresAt, facts: Object.fromEntries(facts) };
}

/** Tells what could not be folded, as the state keeps it. */
export function emitFailed(context: FoldContext, failed: FailedEvent, eventId: string | null): void {
  const { work, offset, settings } = context;
  if (!settings.outputs.includes('failed')) return;
  work.emit('failed', failed.visitor ?? failed.position, offset, { ...failed, eventId });
}
