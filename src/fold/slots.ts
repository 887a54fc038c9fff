import { consents } from '../decide/consent.ts';
import type { Shown } from '../decide/rules.ts';
import { CapturedScope, type EventScope, readsCaptured } from '../decide/scope.ts';
import type { Json, JsonObject } from '../model/json.ts';
import type { Candidate, Cause, Fact, Slot, Timer, Visitor } from '../model/visitor.ts';
import type { ActiveBundles, Exclusion, Rule, Show } from '../playbook/playbook.ts';
import { isCalendar, type Timing, timerOf, withoutTimer, withTimer } from './timers.ts';

type Slots = Visitor['slots'];
const none: readonly Candidate[] = [];

/** A visitor's slots and timers in the midst of one step; `finish` tells what the step changed (semantics 5). */
export class SlotsDraft {
  timers: readonly Timer[];
  /** Conditions that threw; their candidate is withdrawn. */
  errors = 0;
  readonly #before: Slots;
  readonly #maxCandidates: number;
  #next: { [slot: string]: readonly Candidate[] } | null = null;

  constructor(visitor: Visitor, maxCandidates: number) {
    this.#before = visitor.slots;
    this.timers = visitor.timers;
    this.#maxCandidates = maxCandidates;
  }

  /**
   * Every step begins so (5.2): candidates decided under another playbook are taken over by the active one. Those whose rule
   * shows nothing here any more leave; content, priority and `while` are the active ones, and `while` is tried.
   */
  takeOver(bundles: ActiveBundles, scope: () => EventScope): void {
    const { playbook } = bundles;
    if (this.#next === null && areAllOf(this.#before, playbook.version)) return;
    for (const slot of this.#names()) {
      const candidates = this.#of(slot);
      const kept: Candidate[] = [];
      for (const candidate of candidates) {
        if (candidate.playbook === playbook.version) {
          kept.push(candidate);
          continue;
        }
        const rule = playbook.rules.get(candidate.rule);
        const show = rule?.status === 'live' ? showOf(rule, candidate.entry) : null;
        const fits = show?.slot === slot && playbook.slots.has(slot) && playbook.contents.has(show.content);
        if (!fits || !this.#holds(candidate, bundles, scope())) {
          this.#cancelTimers(slot, candidate.rule);
          continue;
        }
        const priority = priorityOf(rule!, show);
        kept.push({ ...candidate, content: show.content, priority, playbook: playbook.version });
      }
      this.#put(slot, kept.sort(compareCandidates));
    }
  }

  /** A rule's content becomes a candidate, in the place of the one the rule had; a fifth drops the last. */
  show(shown: Shown, cause: Cause, bundles: ActiveBundles, timing: Timing): void {
    const { rule, entry, show, facts } = shown;
    const { slot, forMs, until } = show;
    const { now } = timing;
    // What is over shows nothing; what the rule showed before has its own end.
    if (until !== null && until <= now) return;
    this.#cancelTimers(slot, rule.id);
    const ends: Timer[] = [];
    if (forMs !== null) ends.push(timerOf('slot', [slot, rule.id, 'for'], now + forMs, timing));
    if (until !== null) ends.push(timerOf('slot', [slot, rule.id, 'until'], until, timing, until));
    for (const timer of ends) this.timers = withTimer(this.timers, timer);
    const candidate: Candidate = {
      rule: rule.id,
      entry,
      content: show.content,
      priority: priorityOf(rule, show),
      playbook: bundles.playbook.version,
      cause,
      facts,
      expiresAt: endOf(ends),
    };
    this.#insert(slot, candidate);
  }

  /** In the place of the one that its rule had; one too many drops the last. */
  #insert(slot: string, candidate: Candidate): void {
    const others = this.#of(slot).filter((each) => each.rule !== candidate.rule);
    const all = [...others, candidate].sort(compareCandidates);
    for (const dropped of all.splice(this.#maxCandidates)) this.#cancelTimers(slot, dropped.rule);
    this.#put(slot, all);
  }

  /** Another visitor's candidates become this one's: of one rule the one with the later cause, this visitor's of two as late (8.2). */
  takeIn(slots: Slots, timers: readonly Timer[]): void {
    for (const slot of Object.keys(slots)) {
      for (const candidate of slots[slot]!.candidates) {
        const own = this.#of(slot).find(({ rule }) => rule === candidate.rule);
        if (own !== undefined && own.cause.at >= candidate.cause.at) continue;
        this.#cancelTimers(slot, candidate.rule);
        const ends = timers.filter(({ what, key }) => what === 'slot' && key[0] === slot && key[1] === candidate.rule);
        for (const timer of ends) this.timers = withTimer(this.timers, timer);
        this.#insert(slot, candidate);
      }
    }
  }

  withdraw(slot: string, rule: string): void {
    const candidates = this.#of(slot);
    if (!candidates.some((candidate) => candidate.rule === rule)) return;
    this.#cancelTimers(slot, rule);
    this.#put(
      slot,
      candidates.filter((candidate) => candidate.rule !== rule),
    );
  }

  /** After all rules of a step: candidates whose `while` no longer holds are withdrawn. */
  tryWhiles(bundles: ActiveBundles, scope: () => EventScope): void {
    for (const slot of this.#names()) {
      for (const candidate of this.#of(slot)) {
        if (!this.#holds(candidate, bundles, scope())) this.withdraw(slot, candidate.rule);
      }
    }
  }

  /** The visitor is historic no more: what still waits gets its wall time, and what it ends tells it. */
  goLive(): void {
    this.timers = this.timers.map((timer) =>
      timer.wallDue === null && timer.due !== null
        ? { ...timer, wallDue: isCalendar(timer) ? timer.due : timer.due + timer.skew, imported: true }
        : timer,
    );
    for (const slot of this.#names()) {
      const candidates = this.#of(slot);
      if (candidates.every((candidate) => candidate.expiresAt === null)) continue;
      const isOf = (rule: string) => (timer: Timer) =>
        timer.what === 'slot' && timer.key[0] === slot && timer.key[1] === rule;
      this.#put(
        slot,
        candidates.map((candidate) => ({ ...candidate, expiresAt: endOf(this.timers.filter(isOf(candidate.rule))) })),
      );
    }
  }

  /** The slots after the step, with the visitor's version raised if one changed for who looks at it (5.3). */
  finish(version: number): { readonly slots: Slots; readonly version: number; readonly changed: readonly string[] } {
    if (this.#next === null) return { slots: this.#before, version, changed: [] };
    const changed = Object.keys(this.#next).filter(
      (slot) => !sameToLookAt(this.#before[slot]?.candidates ?? none, this.#of(slot)),
    );
    const next = changed.length > 0 ? version + 1 : version;
    const slots: { [slot: string]: Slot } = { ...this.#before };
    for (const slot of Object.keys(this.#next)) {
      const before = Object.hasOwn(slots, slot) ? slots[slot]!.version : 0;
      if (before === 0 && this.#next[slot]!.length === 0) continue;
      slots[slot] = { version: changed.includes(slot) ? next : before, candidates: this.#next[slot]! };
    }
    return { slots, version: next, changed };
  }

  #names(): Iterable<string> {
    return this.#next === null
      ? Object.keys(this.#before)
      : new Set([...Object.keys(this.#before), ...Object.keys(this.#next)]);
  }

  #of(slot: string): readonly Candidate[] {
    if (this.#next !== null && Object.hasOwn(this.#next, slot)) return this.#next[slot]!;
    return Object.hasOwn(this.#before, slot) ? this.#before[slot]!.candidates : none;
  }

  #put(slot: string, candidates: readonly Candidate[]): void {
    this.#next ??= {};
    this.#next[slot] = candidates;
  }

  #cancelTimers(slot: string, rule: string): void {
    this.timers = withoutTimer(this.timers, 'slot', [slot, rule, 'for']);
    this.timers = withoutTimer(this.timers, 'slot', [slot, rule, 'until']);
  }

  #holds(candidate: Candidate, { playbook }: ActiveBundles, scope: EventScope): boolean {
    const rule = playbook.rules.get(candidate.rule);
    const show = rule === undefined ? null : showOf(rule, candidate.entry);
    if (show === null || (show.while === null && show.exclude === null && show.purpose === null)) return true;
    try {
      if (!consents(show.purpose, scope)) return false;
      if (show.exclude !== null && isExcluded(show.exclude, candidate.content, candidate.facts, scope)) return false;
      if (show.while === null) return true;
      return show.while.evaluate(readsCaptured(show.while) ? new CapturedScope(scope, candidate.facts) : scope);
    } catch {
      this.errors++;
      return false;
    }
  }
}

/** Above every priority that a playbook can give. */
const pinnedPriority = 10_000;

function priorityOf(rule: Rule, { pinned }: Show): number {
  return pinned ? rule.priority + pinnedPriority : rule.priority;
}

function showOf(rule: Rule, entry: number): Show | null {
  const what = rule.entries[entry];
  return what?.do === 'show' ? what : null;
}

/** Whether the visitor has bought what this is about, or has seen it often enough. */
export function isExcluded(
  { bought, shown }: Exclusion,
  content: string,
  facts: readonly Fact[],
  scope: EventScope,
): boolean {
  const { boughtProducts, timesShown } = scope.visitor;
  if (bought !== null && Array.isArray(boughtProducts)) {
    const product = facts.find(([path]) => path === bought)?.[1] ?? null;
    if (product !== null && boughtProducts.includes(product)) return true;
  }
  if (shown === null || timesShown === null || typeof timesShown !== 'object') return false;
  const times = (timesShown as JsonObject)[content];
  return typeof times === 'number' && times >= shown;
}

/** Priority, pinned ones above all, then the smaller rule id (5.1). */
export function compareCandidates(a: Candidate, b: Candidate): number {
  return b.priority - a.priority || (a.rule < b.rule ? -1 : a.rule > b.rule ? 1 : 0);
}

function endOf(ends: readonly Timer[]): number | null {
  let least: number | null = null;
  for (const { due, wallDue } of ends) {
    const end = wallDue ?? due!;
    if (least === null || end < least) least = end;
  }
  return least;
}

/** Asked before every step, and nearly always so: without a closure or a copy. */
function areAllOf(slots: Slots, version: string): boolean {
  for (const slot in slots) {
    const { candidates } = slots[slot]!;
    for (let i = 0; i < candidates.length; i++) if (candidates[i]!.playbook !== version) return false;
  }
  return true;
}

/** A refreshed cause or expiry alone changes nothing; another playbook may change every text. */
function sameToLookAt(before: readonly Candidate[], after: readonly Candidate[]): boolean {
  return (
    before.length === after.length &&
    before.every((a, i) => {
      const b = after[i]!;
      return a.rule === b.rule && a.content === b.content && a.playbook === b.playbook && sameFacts(a.facts, b.facts);
    })
  );
}

function sameFacts(before: readonly Fact[], after: readonly Fact[]): boolean {
  return (
    before === after ||
    (before.length === after.length &&
      before.every(([path, value], i) => path === after[i]![0] && sameValue(value, after[i]![1])))
  );
}

function sameValue(a: Json, b: Json): boolean {
  return a === b || (typeof a === 'object' && typeof b === 'object' && JSON.stringify(a) === JSON.stringify(b));
}
