import type { Decision } from '../decide/decide.ts';
import type { Emitted } from '../decide/rules.ts';
import { logTopic } from '../model/commit.ts';
import { type EventRecord, formatPosition } from '../model/record.ts';
import type { Timer } from '../model/visitor.ts';
import { namedEventId } from '../playbook/eventIds.ts';
import type { FoldContext } from './context.ts';
import { type Timing, timerOf, withoutTimer, withTimer } from './timers.ts';

/** How many rules deep events may be that rules append (semantics 9.2). */
const maxDepth = 4;

/** The timers with those that a decision asks for: waits of rules, and the one of all segments (semantics 3.9, 3.11). */
export function withDecided(
  timers: readonly Timer[],
  { waits, nextChange }: Pick<Decision, 'waits' | 'nextChange'>,
  timing: Timing,
): readonly Timer[] {
  let next = timers;
  for (const { rule, key, due } of waits) {
    next =
      due === null
        ? withoutTimer(next, 'rule', [rule, key])
        : withTimer(next, timerOf('rule', [rule, key], due, timing));
  }
  const before = next.find((each) => each.what === 'segment');
  if (nextChange === null) return before === undefined ? next : next.filter((each) => each !== before);
  const set = timerOf('segment', [nextChange.segment], nextChange.due, timing);
  return before === undefined ? [...next, set] : next.map((each) => (each === before ? set : each));
}

/** Counts what a step did, for the shard. */
export function countStep(
  { work }: FoldContext,
  { effects, entered, left }: Pick<Decision, 'effects' | 'entered' | 'left'>,
  slots: { readonly errors: number; readonly changed: number },
): void {
  work.count('rulesFired', effects.fired.length);
  work.count('ruleErrors', effects.errors + slots.errors);
  work.count('slotChanges', slots.changed);
  work.count('segmentChanges', entered.length + left.length);
}

/** What made rules run, for the events that they append. */
export interface EmitCause {
  readonly visitor: string;
  readonly historic: boolean;
  /** Of the event, or of the record that set the timer. */
  readonly offset: number;
  /** The step's `now`. */
  readonly at: number;
  /** Of the event that made the rules run; a firing's is 0. */
  readonly depth: number;
}

/** Appends the events that rules ask for, as far as they may (semantics 9.2). */
export function appendEmitted(context: FoldContext, emitted: readonly Emitted[], cause: EmitCause): void {
  const { work, bundles } = context;
  for (const event of emitted) {
    const isRefused =
      cause.historic ||
      cause.depth >= maxDepth ||
      (bundles?.playbook.events.get(event.type)?.validate(event.properties).length ?? 1) > 0;
    work.count(isRefused ? 'refusedEmits' : 'emitted');
    if (!isRefused) work.append(logTopic, context.offset, recordOf(work.shard, event, cause));
  }
}

function recordOf(shard: number, { rule, entry, type, properties }: Emitted, cause: EmitCause): EventRecord {
  const { visitor, offset, at, depth } = cause;
  const from = [visitor, formatPosition(shard, offset), at, rule.id, entry].join('\0');
  return { v: 1, kind: 'event', id: namedEventId(from), visitor, type, properties, at, depth: depth + 1 };
}
