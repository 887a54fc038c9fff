import { Arrivals, type Arrived, type EventRecord } from './arrivals.ts';
import { changeBetween, segmentsAt } from './changes.ts';
import { type Happened, type Seen, seenOf, type Value, wasInOrder } from './facts.ts';
import { tryRule } from './running.ts';
import { completedMatch } from './sequences.ts';
import type { ModelRule, ShopModel } from './shopModel.ts';
import {
  candidatesOf,
  compareIds,
  compareText,
  keyText,
  type Run,
  type SlotChange,
  type Step,
  sessionOf,
  type Waiting,
  waitsOf,
  wallOf,
} from './steps.ts';
import { holds, type Past, type SetValue, View, visitorNow } from './view.ts';

/** A record of the log with its stamp. */
export interface Logged {
  readonly stamp: number;
  readonly value:
    | EventRecord
    | { readonly kind: 'tick' | 'activate' }
    | { readonly kind: 'advance'; readonly to: number };
}

/** A step of the visitor, an event or a firing, in which rules ran or segments changed. */
export interface Line {
  /** The event's id, or the timer's name. */
  readonly by: string;
  /** Event time, or the timer's due. */
  readonly at: number;
  readonly rules: readonly string[];
  /** `+id` entered, `-id` left. */
  readonly segments: readonly string[];
}

/** What the visitor is after a record. */
export interface Snapshot {
  readonly now: number;
  readonly session: number | null;
  readonly cart: { readonly id: number; readonly value: number };
  readonly traits: { readonly [name: string]: Value };
  readonly segments: readonly string[];
  /** The winners: `rule content` by slot. */
  readonly slots: { readonly [slot: string]: string };
}

interface Triggered {
  readonly rule: ModelRule;
  readonly named: { readonly [name: string]: Seen };
}

const dayMs = 86_400_000;
const unnamed = {};

/**
 * One visitor of one shard, by docs/semantics.md alone, in the slowest and plainest way: its history is kept whole, and each
 * fact, timer, match and count is worked out from it anew.
 */
export class VisitorModel {
  readonly lines: Line[] = [];
  readonly #shop: ShopModel;
  readonly #id: string;
  #steps: readonly Step[] = [];
  #past: Past = { events: [], sets: [] };
  readonly #arrivals = new Arrivals((arrived) => this.#fold(arrived));
  #historic = true;
  #appendTime = 0;
  #offset = -1;
  /** Worked out once a step, as it is asked for at every record. */
  #known: { readonly steps: readonly Step[]; readonly waiting: readonly Waiting[] } = { steps: [], waiting: [] };
  /** How far the next change of the segments was looked for since the last step, so that no second is looked at twice. */
  #looked: { readonly steps: readonly Step[]; readonly upTo: number; readonly found: Waiting | null } | null = null;

  constructor(shop: ShopModel, id: string) {
    this.#shop = shop;
    this.#id = id;
  }

  /** Takes the log's next record, whosever it is. */
  take({ stamp, value }: Logged): void {
    this.#offset++;
    this.#appendTime = Math.max(this.#appendTime, stamp);
    this.#fireByWall();
    if (value.kind === 'advance') this.#advance(Math.min(value.to, this.#appendTime));
    if (value.kind === 'event' && value.visitor === this.#id) {
      this.#arrivals.arrive({ record: value, offset: this.#offset, appendTime: this.#appendTime });
    }
  }

  /** null: nothing is folded yet. */
  snapshot(): Snapshot | null {
    if (this.#past.events.length === 0) return null;
    const now = visitorNow(this.#past.events);
    const session = sessionOf(this.#steps);
    const view = new View({ shop: this.#shop, past: this.#past, now, session, segments: this.#segments() });
    const { id, value } = view.cart;
    const slots: { [slot: string]: string } = {};
    for (const [slot, [winner]] of candidatesOf(this.#steps.flatMap((step) => step.slots))) {
      if (winner !== undefined) slots[slot] = `${winner.rule.id} ${winner.show.content}`;
    }
    const segments = [...this.#segments()].sort();
    return { now, session, cart: { id, value }, traits: view.traits, segments, slots };
  }

  // ── time (3.4–3.6) ──

  #fireByWall(): void {
    for (;;) {
      const hold = this.#arrivals.nextHold();
      const next = this.#nextByWall();
      const isHold =
        hold !== null && hold.wallDue <= this.#appendTime && (next === null || hold.wallDue <= wallOf(next));
      if (isHold) this.#arrivals.endHold(hold.source);
      else if (next !== null) this.#fire(this.#nextByDue(next.due)!);
      else return;
    }
  }

  #nextByWall(): Waiting | null {
    const last = this.#steps.at(-1);
    if (this.#historic || last === undefined) return null;
    const due = this.#waiting(this.#appendTime - last.skew).filter((each) => wallOf(each) <= this.#appendTime);
    return due.sort((a, b) => wallOf(a) - wallOf(b) || compareIds(a, b))[0] ?? null;
  }

  #nextByDue(by: number): Waiting | null {
    const due = this.#waiting(by).filter((each) => each.due <= by);
    return due.sort((a, b) => a.due - b.due || compareIds(a, b))[0] ?? null;
  }

  /** An advance moves historic visitors alone. */
  #advance(to: number): void {
    for (let hold = this.#arrivals.nextHold(); this.#historic && hold !== null; hold = this.#arrivals.nextHold()) {
      this.#arrivals.endHold(hold.source);
    }
    for (let next = this.#nextByDue(to); this.#historic && next !== null; next = this.#nextByDue(to)) this.#fire(next);
  }

  /** All timers that wait, holds excepted; the one of the segments only if it is due by `upTo`. */
  #waiting(upTo: number): readonly Waiting[] {
    if (this.#known.steps !== this.#steps) this.#known = { steps: this.#steps, waiting: this.#waitingButChange() };
    const change = this.#nextChange(upTo);
    return change === null ? this.#known.waiting : [...this.#known.waiting, change];
  }

  #waitingButChange(): readonly Waiting[] {
    const waiting: Waiting[] = [];
    const lastEvent = this.#steps.findLast(({ event }) => event !== null);
    if (lastEvent !== undefined && sessionOf(this.#steps) !== null) {
      const due = lastEvent.event!.now + this.#shop.sessionIdle;
      waiting.push({ what: 'session', key: [], due, skew: lastEvent.skew, calendar: false });
    }
    for (const rule of this.#shop.rules) {
      for (const [key, { due, skew }] of waitsOf(this.#steps, rule)) {
        waiting.push({ what: 'rule', key: [rule.id, key], due, skew, calendar: false });
      }
    }
    for (const [slot, candidates] of candidatesOf(this.#steps.flatMap(({ slots }) => slots))) {
      for (const { show, rule, now, skew } of candidates) {
        const end = (which: 'for' | 'until', due: number) =>
          waiting.push({ what: 'slot', key: [slot, rule.id, which], due, skew, calendar: which === 'until' });
        if (show.for !== undefined) end('for', now + show.for);
        if (show.until !== undefined) end('until', show.until);
      }
    }
    return waiting;
  }

  #nextChange(upTo: number): Waiting | null {
    const last = this.#steps.at(-1);
    if (last === undefined) return null;
    const known = this.#looked?.steps === this.#steps ? this.#looked : null;
    const after = known?.upTo ?? last.now;
    if (known?.found != null || after >= upTo) return known?.found ?? null;
    const { now, skew, segments } = last;
    const session = sessionOf(this.#steps);
    const standing = { shop: this.#shop, visitor: this.#id, past: this.#past, session, segments, now, skew };
    const found = changeBetween(standing, after, upTo);
    this.#looked = { steps: this.#steps, upTo, found };
    return found;
  }

  // ── steps ──

  #segments(): ReadonlySet<string> {
    return this.#steps.at(-1)?.segments ?? new Set();
  }

  #fold({ record, offset, appendTime }: Arrived): void {
    const latest = Math.min(record.at ?? appendTime, appendTime);
    const te = record.imported ? latest : Math.max(latest, appendTime - dayMs);
    for (let timer = this.#nextByDue(te); timer !== null; timer = this.#nextByDue(te)) this.#fire(timer);
    if (!record.imported) this.#historic = false;
    const { events } = this.#past;
    const now = Math.max(visitorNow(events), te);
    const event: Happened = {
      offset,
      id: record.id,
      type: record.type,
      properties: record.properties as Happened['properties'],
      timeZone: record.context?.timeZone ?? null,
      te,
      now,
      session: sessionOf(this.#steps) ?? new Set(events.map((each) => each.session)).size + 1,
    };
    const started = {
      event,
      timer: null,
      now,
      skew: Math.max(0, appendTime - now),
      keys: this.#absenceKeys(event),
      inOrder: wasInOrder(event, events),
    };
    this.#step(started, event.session, (past) => this.#triggeredBy(event, past));
  }

  #fire(timer: Waiting): void {
    const session = timer.what === 'session' ? null : sessionOf(this.#steps);
    const now = Math.max(visitorNow(this.#past.events), timer.due);
    const started = { event: null, timer, now, skew: timer.skew, keys: new Map<string, string>(), inOrder: false };
    const rule = this.#shop.rules.find(({ id }) => timer.what === 'rule' && id === timer.key[0]);
    this.#step(started, session, () => (rule === undefined ? [] : [{ rule, named: unnamed }]));
  }

  /** Segments, then all triggered rules by their ids, then each `while` (3.9, 3.12, 5.1). */
  #step(
    started: Pick<Step, 'event' | 'timer' | 'now' | 'skew' | 'keys' | 'inOrder'>,
    session: number | null,
    triggeredBy: (past: Past) => readonly Triggered[],
  ): void {
    const { event, timer, now, skew } = started;
    const shop = this.#shop;
    const past = event === null ? this.#past : { ...this.#past, events: [...this.#past.events, event] };
    const segments = segmentsAt(shop, past, now, session);
    const entered = [...segments].filter((id) => !this.#segments().has(id));
    const left = [...this.#segments()].filter((id) => !segments.has(id));

    const bySegment = shop.rules.filter(
      ({ when }) =>
        'entered' in when &&
        (entered.some((id) => when.entered.includes(id)) || left.some((id) => when.left.includes(id))),
    );
    const triggered = [...triggeredBy(past), ...bySegment.map((rule) => ({ rule, named: unnamed }))];
    triggered.sort((a, b) => compareText(a.rule.id, b.rule.id));
    const runs: Run[] = [];
    const sets: SetValue[] = [];
    const slots: SlotChange[] = [];
    if (timer?.what === 'slot') slots.push({ withdraw: timer.key[0]!, rule: timer.key[1]! });
    for (const { rule, named } of triggered) {
      const view = new View({ shop, past, now, session, segments, event, named });
      const ran = tryRule(shop, rule, view, session, [...this.#steps.flatMap((step) => step.runs), ...runs]);
      if (ran === null) continue;
      runs.push(ran.run);
      sets.push(...ran.sets);
      slots.push(...ran.shows.map((show) => ({ show, rule, now, skew })));
    }

    const after: Past = { ...past, sets: [...past.sets, ...sets] };
    const view = new View({ shop, past: after, now, session, segments });
    for (const [slot, candidates] of candidatesOf([...this.#steps.flatMap((step) => step.slots), ...slots])) {
      for (const { rule, show } of candidates) {
        if (show.while !== undefined && !holds(show.while, view)) slots.push({ withdraw: slot, rule: rule.id });
      }
    }
    const matched = triggered.filter(({ rule }) => 'sequence' in rule.when).map(({ rule }) => rule.id);
    this.#past = after;
    this.#steps = [...this.#steps, { ...started, segments, matched, runs, sets, slots }];
    if (runs.length + entered.length + left.length === 0) return;
    this.lines.push({
      by: event?.id ?? [timer!.what, ...timer!.key].join(' '),
      at: event?.te ?? timer!.due,
      rules: runs.map(({ rule }) => rule),
      segments: [...entered.map((id) => `+${id}`), ...left.map((id) => `-${id}`)].sort(),
    });
  }

  /** The key of each absence that the event concerns, of the visitor as before it; one that throws or is null is none (3.11). */
  #absenceKeys({ type }: Happened): ReadonlyMap<string, string> {
    const now = visitorNow(this.#past.events);
    const session = sessionOf(this.#steps);
    const view = new View({ shop: this.#shop, past: this.#past, now, session, segments: this.#segments() });
    const keys = new Map<string, string>();
    for (const { id, when } of this.#shop.rules) {
      if (!('absent' in when) || !(when.absent.includes(type) || when.since.includes(type))) continue;
      try {
        const key = when.key === undefined ? '' : when.key(view);
        if (key !== null) keys.set(id, keyText(key));
      } catch {
        // None.
      }
    }
    return keys;
  }

  /** The rules that an event triggers, those of segments excepted. */
  #triggeredBy(event: Happened, { events }: Past): readonly Triggered[] {
    const { rules, catalog } = this.#shop;
    const triggered: Triggered[] = [];
    for (const rule of rules) {
      const { when } = rule;
      if ('on' in when && when.on.includes(event.type)) triggered.push({ rule, named: unnamed });
      if ('spent' in when && this.#isSpent(event, rule.id, when.spent)) triggered.push({ rule, named: unnamed });
      if (!('sequence' in when)) continue;
      const lastMatch = this.#steps.findLast(({ matched }) => matched.includes(rule.id))?.event;
      const match = completedMatch(when.sequence, catalog, events, lastMatch == null ? -1 : events.indexOf(lastMatch));
      if (match === null) continue;
      const named: { [name: string]: Seen } = {};
      when.sequence.elements.forEach(({ as }, i) => {
        if (as !== undefined) named[as] = seenOf(catalog, events[match[i]!]!);
      });
      triggered.push({ rule, named });
    }
    return triggered;
  }
  /** Long enough, and of a page view for which the rule has not run. */
  #isSpent({ type, properties }: Happened, rule: string, seconds: number): boolean {
    if (type !== 'time_spent' || (properties['seconds'] as number) < seconds) return false;
    const ran = this.#steps.filter(({ runs }) => runs.some((run) => run.rule === rule));
    return !ran.some(({ event }) => event!.properties['pageViewId'] === properties['pageViewId']);
  }
}
