import {
  cartValue,
  fadedAt,
  fire,
  type Happened,
  happen,
  latelyAt,
  nextDue,
  nextWall,
  nobody,
  type Self,
} from './self.ts';
import { unite } from './unite.ts';

/**
 * Who visitors are, a second time (semantics 2, 8): shards, what they send each other, and what becomes of it. Shares no code with
 * Usher. What a shard has sent it knows by its place in a list, whatever Usher calls it.
 */
export interface ModelEvent extends Happened {
  readonly id: string;
  readonly visitor: string;
  readonly at?: number;
  readonly source?: string;
  readonly sequence?: number;
}
export type ModelInput =
  | ({ readonly kind: 'event' } & ModelEvent)
  | { readonly kind: 'identified'; readonly visitor: string; readonly user: string }
  | { readonly kind: 'tick' };

/** What one shard sends to the shard of a user. */
type Move = { readonly from: string; readonly user: string } & (
  | { readonly what: 'merge'; readonly self: Self }
  | { readonly what: 'forward'; readonly event: Happened; readonly at: number }
);

interface Waiting {
  readonly event: ModelEvent;
  readonly time: number;
}
interface Source {
  next: number;
  readonly missing: Set<number>;
  /** By number; the first that came is the first that was set. */
  readonly held: Map<number, Waiting>;
}
interface Person {
  readonly id: string;
  self: Self;
  alias: string | null;
  readonly sources: Map<string, Source>;
  readonly ids: Set<string>;
}

const dayMs = 86_400_000;
const holdMs = 50;

export class ModelShard {
  readonly people = new Map<string, Person>();
  readonly sent: Move[] = [];
  /** Moves of other shards that were taken: once each. */
  readonly #taken = new Set<Move>();
  #time = 0;

  take(input: ModelInput, stamp: number): void {
    this.#pass(stamp);
    if (input.kind === 'event') this.#arrive(this.#person(input.visitor), input);
    if (input.kind === 'identified') this.#identify(input.visitor, input.user);
  }

  /** A move arrives, for the first time or again. */
  deliver(move: Move, stamp: number): void {
    this.#pass(stamp);
    if (this.#taken.has(move)) return;
    this.#taken.add(move);
    const user = this.#person(move.user);
    if (move.what === 'merge') user.self = unite(user.self, structuredClone(move.self), this.#time);
    else happen(user.self, move.event, this.#placed(move.at, this.#time), this.#time);
  }

  #person(id: string): Person {
    const known = this.people.get(id);
    if (known !== undefined) return known;
    const person: Person = { id, self: nobody(), alias: null, sources: new Map(), ids: new Set() };
    this.people.set(id, person);
    return person;
  }

  /** What is due by then comes up, of all visitors in one order. */
  #pass(stamp: number): void {
    this.#time = Math.max(this.#time, stamp);
    for (;;) {
      let next: { readonly wall: number; readonly person: Person; readonly hold: Source | null } | null = null;
      for (const person of this.people.values()) {
        const hold = holdOf(person);
        const timer = nextWall(person.self);
        const isHold = hold !== null && (timer === null || hold.until <= timer.wall);
        const wall = isHold ? hold.until : (timer?.wall ?? Number.POSITIVE_INFINITY);
        const isFirst = next === null || wall < next.wall || (wall === next.wall && person.id < next.person.id);
        if (wall <= this.#time && isFirst) next = { wall, person, hold: isHold ? hold.source : null };
      }
      if (next === null) return;
      const { person, hold } = next;
      if (hold !== null) this.#release(person, hold);
      else fire(person.self, nextDue(person.self, nextWall(person.self)!.due)!);
    }
  }

  #arrive(person: Person, event: ModelEvent): void {
    const { source: id, sequence } = event;
    if (id === undefined || sequence === undefined) {
      if (!person.ids.has(event.id)) this.#turn(person, { event, time: this.#time });
      person.ids.add(event.id);
      return;
    }
    const source = person.sources.get(id) ?? { next: 1, missing: new Set(), held: new Map() };
    person.sources.set(id, source);
    if (source.missing.delete(sequence)) this.#turn(person, { event, time: this.#time });
    else if (sequence >= source.next && !source.held.has(sequence)) {
      source.held.set(sequence, { event, time: this.#time });
      this.#turnAll(person, source, false);
    }
  }

  /** Events whose turn has come, or of a hold that has ended all of them, in the order of their numbers. */
  #turnAll(person: Person, source: Source, all: boolean): void {
    while (source.held.size > 0) {
      const sequence = Math.min(...source.held.keys());
      if (sequence !== source.next && !all) return;
      for (let n = source.next; n < sequence; n++) source.missing.add(n);
      source.next = sequence + 1;
      const waiting = source.held.get(sequence)!;
      source.held.delete(sequence);
      this.#turn(person, waiting);
    }
  }

  #release(person: Person, source: Source): void {
    this.#turnAll(person, source, true);
  }

  #turn(person: Person, { event, time }: Waiting): void {
    const at = this.#placed(event.at ?? time, time);
    if (person.alias === null) happen(person.self, event, at, time);
    else this.sent.push({ what: 'forward', from: person.id, user: person.alias, event, at });
  }

  #placed(at: number, time: number): number {
    return Math.max(Math.min(at, time), time - dayMs);
  }

  #identify(id: string, user: string): void {
    if (id.startsWith('u:')) return;
    const person = this.#person(id);
    if (person.alias !== null) return;
    const waiting = [...person.sources.values()].filter(({ held }) => held.size > 0);
    for (const source of waiting.sort((a, b) => firstOf(a).time - firstOf(b).time)) this.#release(person, source);
    this.sent.push({ what: 'merge', from: id, user, self: person.self });
    person.self = nobody();
    person.alias = user;
  }
}

function firstOf({ held }: Source): Waiting {
  return [...held.values()][0]!;
}

function holdOf({ sources }: Person): { readonly source: Source; readonly until: number } | null {
  let first: { readonly source: Source; readonly until: number } | null = null;
  for (const source of sources.values()) {
    if (source.held.size === 0) continue;
    const until = firstOf(source).time + holdMs;
    if (first === null || until < first.until) first = { source, until };
  }
  return first;
}

/** As conditions would read the visitor at visitor now, with what waits. */
export function snapshotOf({ self, alias }: Person): object {
  const { seconds, cart, session } = self;
  const groups = (list: readonly [string, number][]) => Object.fromEntries(list);
  return {
    alias,
    now: alias === null ? self.now : 0,
    folded: self.folded,
    sessions: self.sessions,
    session: session === null ? null : { number: session.number, startedAt: session.startedAt },
    cart: {
      id: cart.id,
      value: cartValue(self) / 100,
      lines: Object.fromEntries([...cart.lines].map(([product, { quantity }]) => [product, quantity])),
    },
    consent: self.consent,
    traits: {
      views: self.views,
      seconds: seconds.sum,
      least: seconds.least,
      most: seconds.most,
      mean: seconds.count === 0 ? null : seconds.sum / seconds.count,
      first_query: self.firstQuery ?? '',
      last_query: self.lastQuery ?? '',
      offered: self.offered ?? '',
      recent: self.recent,
      queries: self.queries.length,
      by_product: groups(self.byProduct),
      lately: latelyAt(self.viewedAt, self.now).length,
      lately_by_product: groups(
        self.latelyByProduct
          .map(([product, at]): [string, number] => [product, latelyAt(at, self.now).length])
          .filter(([, times]) => times > 0),
      ),
      products_lately: self.productsLately.filter(([, step]) => step >= Math.floor(self.now / 60_000) - 59).length,
      interest: fadedAt(self, self.now),
      searches_in_visit: session?.searches ?? 0,
    },
    segments: self.segments,
    slots: Object.fromEntries(
      [...self.slots]
        .map(([slot, rules]): [string, string[]] => [slot, [...rules].map(([rule, at]) => `${rule} ${at}`).sort()])
        .filter(([, rules]) => rules.length > 0),
    ),
    timers: Object.fromEntries(
      self.timers.map(({ what, key, due, wall }) => [[what, ...key].join(' '), `${due} ${wall}`]),
    ),
  };
}
