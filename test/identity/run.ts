import { EventScope } from '../../src/decide/scope.ts';
import { jsonOf } from '../../src/decide/views.ts';
import { movesTopic } from '../../src/model/commit.ts';
import { shardOf } from '../../src/model/shard.ts';
import type { Visitor } from '../../src/model/visitor.ts';
import { type Cut, FoldShard } from '../support/foldShard.ts';
import { seededRandom } from '../support/random.ts';
import { type ModelEvent, type ModelInput, ModelShard, snapshotOf } from './model.ts';
import { shop } from './shop.ts';

const shards = 3;
const anonymous = ['anna', 'berta', 'carl', 'dora', 'emil', 'frida', 'gustav'];
const users = ['u:ada', 'u:bob'];
const startedAt = Date.parse('2026-03-27T08:00:00Z');

export interface Disagreement {
  readonly what: string;
  readonly model: unknown;
  readonly fold: unknown;
  readonly after: number;
}
export interface Seen {
  readonly counts: { [name: string]: number };
}

/** One shard, folded by Usher and by the model, and how far what it sends is delivered. */
interface Pair {
  fold: FoldShard;
  readonly model: ModelShard;
  delivered: number;
}

/**
 * Several shards, whose visitors turn out to be known users while events are on their way; what shards send each other is delivered late,
 * again after a crash, and all of it again when a shard is rebuilt. After each record Usher and the model must agree on everybody.
 */
export class Interleaving {
  readonly seen: Seen = { counts: {} };
  readonly #random: () => number;
  readonly #pairs: readonly Pair[];
  readonly #numbers = new Map<string, number>();
  readonly #inputs = new Set<string>();
  /** Events of a number that came after a later one of its source, or again. */
  #late: ModelInput[] = [];
  #now = startedAt;
  #steps = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.#pairs = Array.from({ length: shards }, (_, shard) => ({
      fold: this.#open(shard, { batch: 1, timers: 1, page: 1, keep: 0 }, []),
      model: new ModelShard(),
      delivered: 0,
    }));
  }

  /** @returns where they part first; null: nowhere */
  run(steps: number): Disagreement | null {
    for (let step = 0; step < steps; step++) {
      const found = this.#step() ?? this.#compareAll();
      if (found !== null) return found;
    }
    return this.#end();
  }

  #open(shard: number, cut: Cut, outputs: readonly ('decisions' | 'failed')[]): FoldShard {
    const { playbook, catalog, get } = shop();
    const fold = new FoldShard({ get }, { cut, shard, shards, settings: { outputs, activity: 1_000 } });
    fold.append({ v: 1, kind: 'activate', id: 'a', playbook, catalog, foldVersion: 1 }, 0);
    return fold.fold();
  }

  #step(): Disagreement | null {
    this.#steps++;
    this.#now += this.#pick([0, 0, 1, 7, 49, 60, 2_000, 20_000, 60_000, 400_000]);
    const what = this.#random();
    if (what < 0.5) return this.#input(this.#event());
    if (what < 0.52)
      return this.#input({
        kind: 'identified',
        visitor: this.#pick([...anonymous, ...users]),
        user: this.#pick(users),
      });
    if (what < 0.525) return this.#loginInAGap();
    if (what < 0.53) return this.#loginAfterAnOrder();
    if (what < 0.535) return this.#loginBetweenSearches();
    if (what < 0.58) return this.#input({ kind: 'tick' });
    const shard = Math.floor(this.#random() * shards);
    if (what < 0.93) return this.#deliver(shard);
    const pair = this.#pairs[shard]!;
    // The owner died before it noted what it had delivered; or the shard is made anew, and tells all of it again.
    if (what < 0.97) pair.delivered = Math.max(0, pair.delivered - Math.floor(this.#random() * 4));
    else this.#rebuild(pair);
    return null;
  }

  /** Somebody logs in while one of their numbers is on its way, and the next has come already. */
  #loginInAGap(): Disagreement | null {
    const visitor = this.#pick(anonymous);
    const sequence = (this.#numbers.get(visitor) ?? 0) + 1;
    this.#numbers.set(visitor, sequence + 1);
    const viewOf = (n: number) =>
      ({
        kind: 'event',
        id: `e${this.#steps}-${n}`,
        visitor,
        type: 'product_viewed',
        properties: { productId: 'p1' },
        source: 's',
        sequence: n,
      }) as const;
    this.#late.push(viewOf(sequence));
    return this.#input(viewOf(sequence + 1)) ?? this.#input({ kind: 'identified', visitor, user: this.#pick(users) });
  }

  /** Something goes into a cart on one device; it is ordered on another, and then there is a login on the first. */
  #loginAfterAnOrder(): Disagreement | null {
    const [visitor, user] = [this.#pick(anonymous), this.#pick(users)];
    const base = { kind: 'event', id: `e${this.#steps}` } as const;
    const added = { ...base, visitor, type: 'cart_item_added', properties: { productId: 'p2', quantity: 1 } };
    const ordered = { ...base, visitor: user, type: 'order_completed', properties: { orderId: 'o', lines: [] } };
    return this.#input(added) ?? this.#input(ordered) ?? this.#input({ kind: 'identified', visitor, user });
  }

  /** Two devices in use at once; one logs in, and the user goes on. */
  #loginBetweenSearches(): Disagreement | null {
    const [visitor, user] = [this.#pick(anonymous), this.#pick(users)];
    const searched = (who: string, n: number): ModelInput => {
      const properties = { query: this.#pick(['boots', 'tents']) };
      return { kind: 'event', id: `e${this.#steps}-${n}`, visitor: who, type: 'search_performed', properties };
    };
    let found = this.#input(searched(user, 1));
    this.#now += 30_000;
    found ??= this.#input(searched(visitor, 2)) ?? this.#input({ kind: 'identified', visitor, user });
    const from = shardOf(visitor, shards);
    while (found === null && this.#pairs[from]!.delivered < this.#pairs[from]!.model.sent.length)
      found = this.#deliver(from) ?? this.#compareAll();
    return found ?? this.#input(searched(user, 3));
  }

  #event(): ModelInput {
    if (this.#late.length > 0 && this.#random() < 0.15) return this.#late.shift()!;
    const visitor = this.#pick([...anonymous, ...users, ...users]);
    const product = this.#pick(['p1', 'p2', 'p3', 'p4']);
    const happened = this.#pick([
      { type: 'product_viewed', properties: { productId: product } },
      { type: 'product_viewed', properties: { productId: product } },
      { type: 'page_viewed', properties: {} },
      { type: 'search_performed', properties: { query: this.#pick(['boots', 'tents', 'lamps', 'stoves']) } },
      { type: 'time_spent', properties: { pageViewId: 'x', seconds: 1 + Math.floor(this.#random() * 90) } },
      { type: 'cart_item_added', properties: { productId: product, quantity: 1 + Math.floor(this.#random() * 3) } },
      { type: 'cart_item_added', properties: { productId: product, quantity: 1 } },
      { type: 'cart_item_removed', properties: { productId: product } },
      { type: 'order_completed', properties: { orderId: 'o', lines: [{ productId: product, quantity: 1 }] } },
      { type: 'consent_told', properties: { granted: this.#random() < 0.5 } },
    ]);
    const event = { kind: 'event', id: `e${this.#steps}`, visitor, ...happened } as const;
    const at = this.#random() < 0.2 ? { at: this.#now - this.#pick([1_000, 90_000, 1_200_000, 5_000_000]) } : {};
    if (this.#random() < 0.5) {
      if (this.#random() < 0.15) this.#late.push({ ...event, ...at });
      return { ...event, ...at };
    }
    const sequence = (this.#numbers.get(visitor) ?? 0) + 1;
    this.#numbers.set(visitor, sequence);
    const numbered = { ...event, ...at, source: 's', sequence };
    const fate = this.#random();
    if (fate < 0.4) this.#late.push(numbered);
    // It comes later, when another has come before it.
    return fate < 0.3 ? { kind: 'tick' } : numbered;
  }

  #input(input: ModelInput): Disagreement | null {
    const all = input.kind === 'tick' ? this.#pairs : [this.#pairs[shardOf(input.visitor, shards)]!];
    if (input.kind === 'event') this.#inputs.add(nameOf(input));
    for (const { fold, model } of all) {
      fold.append({ v: 1, id: `r${this.#steps}`, ...input }, this.#now);
      fold.fold();
      model.take(input, this.#now);
    }
    return this.#compareSent();
  }

  #compareSent(): Disagreement | null {
    for (const { fold, model } of this.#pairs) {
      const [sent, should] = [movesOf(fold).length, model.sent.length];
      if (sent !== should) return { what: 'how much is sent', model: should, fold: sent, after: this.#steps };
    }
    return null;
  }

  #deliver(from: number): Disagreement | null {
    const pair = this.#pairs[from]!;
    const [move, should] = [movesOf(pair.fold)[pair.delivered], pair.model.sent[pair.delivered]];
    if (move === undefined || should === undefined) return null;
    pair.delivered++;
    if (move.key !== should.user)
      return { what: 'to whom it is sent', model: should.user, fold: move.key, after: this.#steps };
    const to = this.#pairs[shardOf(move.key, shards)]!;
    to.fold.append(move.value, this.#now);
    to.fold.fold();
    to.model.deliver(should, this.#now);
    return this.#compareSent();
  }

  /** From its log alone, with other outputs beside the moves, and so under other numbers (4.7). */
  #rebuild(pair: Pair): void {
    const { shard } = pair.fold.meta;
    const cut = {
      batch: this.#pick([1, 3, 1_000]),
      timers: this.#pick([1, 2, 1_000]),
      page: 2,
      keep: this.#pick([0, 2, null]),
    };
    const fresh = this.#open(shard, cut, this.#pick([[], ['decisions', 'failed'], ['decisions']]));
    for (const { stamp, value } of pair.fold.log.slice(1)) fresh.append(value, stamp);
    pair.fold = fresh.fold();
    pair.delivered = 0;
  }

  #compareAll(): Disagreement | null {
    for (const { fold, model } of this.#pairs) {
      for (const [id, person] of model.people) {
        const found = difference(id, snapshotOf(person), foldSnapshotOf(fold.visitor(id), fold));
        if (found !== null) return { ...found, after: this.#steps };
      }
    }
    return null;
  }

  /** Everything is delivered, all waits are over; then nothing may have been lost or doubled, and nobody's user is somebody else. */
  #end(): Disagreement | null {
    for (let round = 0; round < 2; round++) {
      for (let from = 0; from < shards; from++) {
        while (this.#pairs[from]!.delivered < this.#pairs[from]!.model.sent.length) {
          const found = this.#deliver(from);
          if (found !== null) return found;
        }
      }
      this.#now += 60;
      const found = this.#input({ kind: 'tick' }) ?? this.#compareAll();
      if (found !== null) return found;
    }
    const everybody = this.#pairs.flatMap(({ fold }) => [...fold.stored.keys()].map((id) => fold.visitor(id)!));
    const folded = everybody.reduce((sum, { counts }) => sum + counts.folded, 0);
    if (folded !== this.#inputs.size)
      return { what: 'events folded', model: this.#inputs.size, fold: folded, after: this.#steps };
    const chained = everybody.find(
      ({ id, alias }) => alias !== null && (id.startsWith('u:') || !alias.startsWith('u:')),
    );
    if (chained !== undefined) return { what: 'an alias of', model: null, fold: chained.id, after: this.#steps };
    for (const { fold } of this.#pairs) {
      for (const [name, count] of Object.entries(fold.meta.counters))
        this.seen.counts[name] = (this.seen.counts[name] ?? 0) + count;
    }
    return null;
  }

  #pick<T>(values: readonly T[]): T {
    return values[Math.floor(this.#random() * values.length)]!;
  }
}

const nameOf = ({ visitor, id, source, sequence }: ModelEvent) =>
  source === undefined ? `${visitor} ${id}` : `${visitor} ${source}:${sequence}`;

const movesOf = ({ outbox }: FoldShard) => outbox.filter(({ topic }) => topic === movesTopic);

function foldSnapshotOf(visitor: Visitor | null, fold: FoldShard): object | null {
  if (visitor === null) return null;
  const { now, session, counts, slots, timers, alias } = visitor;
  const scope = new EventScope(fold.active!, visitor, now, null, now);
  const cart = scope.cart as {
    readonly id: number;
    readonly value: number;
    readonly lines: readonly { productId: string; quantity: number }[];
  };
  const shown = Object.entries(slots).map(
    ([slot, { candidates }]) => [slot, candidates.map(({ rule, cause }) => `${rule} ${cause.at}`)] as const,
  );
  return {
    alias,
    now: alias === null ? now : 0,
    folded: counts.folded,
    sessions: counts.sessions,
    session: session === null ? null : { number: session.number, startedAt: session.startedAt },
    cart: {
      id: cart.id,
      value: cart.value,
      lines: Object.fromEntries(cart.lines.map(({ productId, quantity }) => [productId, quantity])),
    },
    consent: visitor.traits.get('told_consent') ?? null,
    traits: jsonOf(scope.traits),
    segments: Object.keys(visitor.segments).sort(),
    slots: Object.fromEntries(shown.filter(([, rules]) => rules.length > 0)),
    timers: Object.fromEntries(
      timers
        .filter(({ what }) => what !== 'hold')
        .map(({ what, key, due, wallDue }) => [[what, ...key].join(' '), `${due} ${wallDue}`]),
    ),
  };
}

function difference(what: string, model: unknown, fold: unknown): Omit<Disagreement, 'after'> | null {
  if (typeof model === 'number' && typeof fold === 'number')
    return Math.abs(model - fold) <= 1e-9 ? null : { what, model, fold };
  if (model === null || fold === null || typeof model !== 'object' || typeof fold !== 'object')
    return model === fold ? null : { what, model, fold };
  const [a, b] = [model, fold] as { readonly [name: string]: unknown }[];
  for (const name of new Set([...Object.keys(a!), ...Object.keys(b!)])) {
    const found = difference(`${what}.${name}`, a![name], b![name]);
    if (found !== null) return found;
  }
  return null;
}
