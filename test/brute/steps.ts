import type { Happened, Value } from './facts.ts';
import type { ModelRule, ModelShow } from './shopModel.ts';
import type { SetValue } from './view.ts';

/** A timer that waits, holds excepted (semantics 3.4). */
export interface Waiting {
  readonly what: 'rule' | 'segment' | 'slot' | 'session';
  readonly key: readonly string[];
  readonly due: number;
  readonly skew: number;
  /** An instant of the calendar: its wall time is its due. */
  readonly calendar: boolean;
}
const order: readonly Waiting['what'][] = ['rule', 'segment', 'slot', 'session'];

/** A rule ran. */
export interface Run {
  readonly rule: string;
  readonly group: string;
  readonly now: number;
  readonly session: number;
  readonly day: string;
  readonly key: string | null;
}

export interface Shown {
  readonly show: ModelShow;
  readonly rule: ModelRule;
  readonly now: number;
  readonly skew: number;
}
export type SlotChange = Shown | { readonly withdraw: string; readonly rule: string };

/** An event or a firing, and what it made of the visitor. A visitor's history is a list of these; all else is worked out from it. */
export interface Step {
  readonly event: Happened | null;
  readonly timer: Waiting | null;
  readonly now: number;
  readonly skew: number;
  /** Of an event: the key of each absence that it concerns, as the visitor was before it. */
  readonly keys: ReadonlyMap<string, string>;
  /** Of an event: an add that was in the order before it. */
  readonly inOrder: boolean;
  readonly segments: ReadonlySet<string>;
  /** Rules whose sequence it completed. */
  readonly matched: readonly string[];
  readonly runs: readonly Run[];
  readonly sets: readonly SetValue[];
  readonly slots: readonly SlotChange[];
}

const waitsMost = 8;
const candidatesMost = 4;

/** The session that goes on after these steps; null: none. */
export function sessionOf(steps: readonly Step[]): number | null {
  const last = steps.findLast(({ event, timer }) => event !== null || timer?.what === 'session');
  return last?.event?.session ?? null;
}

/** The waits of an absence by key (3.11). */
export function waitsOf(steps: readonly Step[], rule: ModelRule): ReadonlyMap<string, Wait> {
  const waits = new Map<string, Wait>();
  const { when } = rule;
  if (!('absent' in when)) return waits;
  for (const { event, timer, keys, now, skew, inOrder } of steps) {
    if (timer?.what === 'rule' && timer.key[0] === rule.id) waits.delete(timer.key[1]!);
    const key = keys.get(rule.id);
    if (event === null || key === undefined) continue;
    const setBy = waits.get(key);
    if (setBy !== undefined && event.te < setBy.te) continue;
    if (when.absent.includes(event.type)) waits.delete(key);
    if (!when.since.includes(event.type) || inOrder) continue;
    // The one that was set last stands at the end.
    waits.delete(key);
    waits.set(key, { due: now + when.for, skew, te: event.te });
    if (waits.size > waitsMost) {
      const earliest = [...waits].reduce((first, each) => (each[1].due < first[1].due ? each : first));
      waits.delete(earliest[0]);
    }
  }
  return waits;
}
interface Wait {
  readonly due: number;
  readonly skew: number;
  /** Of the event that set it. */
  readonly te: number;
}

/** The candidates of each slot, the winner first (5.1). */
export function candidatesOf(changes: readonly SlotChange[]): ReadonlyMap<string, readonly Shown[]> {
  const slots = new Map<string, readonly Shown[]>();
  for (const change of changes) {
    const slot = 'show' in change ? change.show.slot : change.withdraw;
    const id = 'show' in change ? change.rule.id : change.rule;
    const others = (slots.get(slot) ?? []).filter(({ rule }) => rule.id !== id);
    const all = 'show' in change ? [...others, change] : others;
    slots.set(slot, all.sort(compareShown).slice(0, candidatesMost));
  }
  return slots;
}

function compareShown(a: Shown, b: Shown): number {
  const pinned = Number(b.show.pinned ?? false) - Number(a.show.pinned ?? false);
  return pinned || (b.rule.priority ?? 0) - (a.rule.priority ?? 0) || compareText(a.rule.id, b.rule.id);
}

export function wallOf({ due, skew, calendar }: Waiting): number {
  return calendar ? due : due + skew;
}

export function compareIds(a: Waiting, b: Waiting): number {
  if (a.what !== b.what) return order.indexOf(a.what) - order.indexOf(b.what);
  for (let i = 0; i < Math.min(a.key.length, b.key.length); i++) {
    const part = compareText(a.key[i]!, b.key[i]!);
    if (part !== 0) return part;
  }
  return a.key.length - b.key.length;
}

/** By UTF-8 bytes. */
export function compareText(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** The text of a key's value. */
export function keyText(value: Value): string {
  return String(value);
}
