import type { GeneratedRecord } from './logs.ts';
import { seededRandom } from './random.ts';

/** A cart left behind, or another wait that ended: whose, and when it was due, ms. */
export type Firing = readonly [visitor: string, due: number];

export interface CartHistory {
  /** Records of one shard with the log's stamps, in its order; the activation of a playbook is not among them. */
  readonly records: readonly GeneratedRecord[];
  /** What was abandoned, known from how each scene was written: by visitor, then by time. */
  readonly abandoned: readonly Firing[];
  /** How often each scene was played. */
  readonly scenes: ReadonlyMap<string, number>;
  /** An order, or a change of the cart, that came a second before the wait was over, and a second after. */
  readonly nearMisses: { readonly before: number; readonly after: number };
  /** Records that came out of the order of their numbers, and again. */
  readonly reordered: number;
  readonly repeated: number;
}

export interface CartHistoryOptions {
  readonly seed: number;
  readonly visitors: number;
  /** Scenes a visitor. */
  readonly scenes: number;
  /** How long a cart is left alone until it is abandoned, ms. */
  readonly waitMs: number;
  /** `historic`: imported, and moved on by an `advance` to the last event's time. `live`: as it happens, and a tick at last. */
  readonly kind: 'live' | 'historic';
  readonly startMs: number;
}

const second = 1_000;
const minute = 60_000;
const hour = 3_600_000;

/**
 * Shoppers who fill carts, change them, order, and leave; whose clients swap, repeat and delay what they send. Each scene says by itself
 * what is abandoned in it, so the answer follows from the writing of the log, and from no reading of it.
 */
export function cartHistory(options: CartHistoryOptions): CartHistory {
  const random = seededRandom(options.seed);
  const played = new Map<string, number>();
  const shoppers = Array.from({ length: options.visitors }, (_, n) => new Shopper(n, options, random));
  for (const shopper of shoppers) {
    for (let n = 0; n < options.scenes; n++) {
      const possible = deck.filter(({ numbered }) => shopper.numbered || numbered !== true);
      const { name, play } = possible[Math.floor(random() * possible.length)]!;
      played.set(name, (played.get(name) ?? 0) + 1);
      shopper.arrive();
      play(shopper, options.waitMs);
    }
  }
  const records = shoppers.flatMap(({ sent }) => sent).sort((a, b) => a.stamp - b.stamp);
  const lastAt = Math.max(...shoppers.map(({ at }) => at));
  const lastStamp = Math.max(lastAt, records.at(-1)!.stamp);
  const end =
    options.kind === 'historic'
      ? { stamp: lastStamp + minute, value: { v: 1, kind: 'advance', id: 'end', to: lastAt } }
      : { stamp: lastStamp + 2 * options.waitMs, value: { v: 1, kind: 'tick', id: 'end' } };
  const abandoned = shoppers
    .flatMap(({ abandoned }) => abandoned)
    // Who left a cart at the very end is still waited for where time stands at the last event.
    .filter(([, due]) => options.kind === 'live' || due <= lastAt);
  const sum = (of: (shopper: Shopper) => number) => shoppers.reduce((total, shopper) => total + of(shopper), 0);
  return {
    records: [...records, end],
    abandoned,
    scenes: played,
    nearMisses: { before: sum(({ before }) => before), after: sum(({ after }) => after) },
    reordered: sum(({ reordered }) => reordered),
    repeated: sum(({ repeated }) => repeated),
  };
}

type Happening = readonly [type: string, properties: object];

class Shopper {
  readonly name: string;
  /** Half of the live ones send ids alone: those come in their order. Imported events have numbers. */
  readonly numbered: boolean;
  readonly historic: boolean;
  readonly sent: { readonly stamp: number; readonly value: object }[] = [];
  readonly abandoned: Firing[] = [];
  /** Event time of what happens next. */
  at: number;
  before = 0;
  after = 0;
  reordered = 0;
  repeated = 0;
  readonly #options: CartHistoryOptions;
  readonly #random: () => number;
  /** How long an event takes to the log. */
  readonly #delay: number;
  #made = 0;

  constructor(n: number, options: CartHistoryOptions, random: () => number) {
    this.name = `v${String(n).padStart(5, '0')}`;
    this.historic = options.kind === 'historic';
    this.numbered = this.historic || n % 2 === 0;
    this.#options = options;
    this.#random = random;
    this.#delay = this.random(0, 400);
    this.at = options.startMs + this.random(0, 4 * hour);
  }

  random(from: number, to: number): number {
    return from + Math.floor(this.#random() * (to - from + 1));
  }

  /** Comes back when nothing is waited for any more, and looks around; a cart that was left is ordered, so that the next scene begins with none. */
  arrive(): void {
    this.pass(this.#options.waitMs + this.random(minute, 40 * minute));
    this.order();
    this.pass(this.random(second, minute));
    if (this.numbered && this.#random() < 0.3) this.swapped(view(), second, view());
    this.pass(this.random(second, minute));
  }

  pass(ms: number): this {
    this.at += ms;
    return this;
  }
  /** Some time within the wait, looking at things: that starts nothing again. */
  browse(): this {
    for (let n = this.random(0, 2); n > 0; n--) this.pass(this.random(second, 2 * minute)).send(view());
    return this.pass(this.random(second, minute));
  }
  add(product = 'p1'): this {
    return this.send(added(product));
  }
  remove(product = 'p1'): this {
    return this.send(removed(product));
  }
  order(): this {
    return this.send(ordered());
  }
  view(): this {
    return this.send(view());
  }
  send(happening: Happening, lateBy = 0): this {
    this.sent.push({ stamp: this.at + this.#delay + lateBy, value: this.#record(happening) });
    return this;
  }
  /** Two events, of which the second comes first to the log, and the first within the hold. What comes next comes after both. */
  swapped(first: Happening, afterMs: number, then: Happening): this {
    const early = this.#record(first);
    this.pass(afterMs);
    const stamp = this.at + this.#delay;
    this.sent.push({ stamp, value: this.#record(then) }, { stamp: stamp + this.random(1, 45), value: early });
    this.reordered++;
    return this.pass(100);
  }
  /** The same record once more: a client that got no answer. */
  again(type: string): this {
    const last = this.sent.findLast(({ value }) => (value as { type: string }).type === type)!;
    this.sent.push({ stamp: this.at + this.#delay, value: last.value });
    this.repeated++;
    return this;
  }
  /** The wait that began `agoMs` ago ends with a cart that has something in it. */
  abandons(agoMs = 0): this {
    this.abandoned.push([this.name, this.at - agoMs + this.#options.waitMs]);
    return this;
  }
  /** Time passes until a second before the wait is over. */
  almost(): this {
    this.before++;
    return this.pass(this.#options.waitMs - second);
  }
  /** Time passes until a second after the wait is over. */
  justOver(): this {
    this.after++;
    return this.pass(this.#options.waitMs + second);
  }

  #record([type, properties]: Happening): object {
    const number = ++this.#made;
    return {
      v: 1,
      kind: 'event',
      id: `${this.name}-${number}`,
      visitor: this.name,
      at: this.at,
      ...(this.numbered ? { source: `of-${this.name}`, sequence: number } : {}),
      ...(this.historic ? { imported: true } : {}),
      type,
      properties,
    };
  }
}

const added = (productId: string): Happening => ['cart_item_added', { productId, quantity: 1, price: 10 }];
const removed = (productId: string): Happening => ['cart_item_removed', { productId }];
const ordered = (): Happening => [
  'order_completed',
  { orderId: 'o', lines: [{ productId: 'p9', quantity: 1, price: 10 }] },
];
const view = (): Happening => ['product_viewed', { productId: 'p1' }];

interface Scene {
  readonly name: string;
  /** Only clients that number their events can play it. */
  readonly numbered?: true;
  /** Begins with an empty cart and no wait. */
  play(shopper: Shopper, waitMs: number): void;
}

/** Written by semantics 3.11 and 10.2, for each what a shop would see. */
const scenes: readonly Scene[] = [
  { name: 'left a full cart', play: (s) => void s.add().browse().add('p2').abandons().browse() },
  { name: 'ordered', play: (s) => void s.add().browse().order() },
  { name: 'ordered a second before the wait was over', play: (s) => void s.add().almost().order() },
  { name: 'ordered a second after', play: (s) => void s.add().abandons().justOver().order() },
  {
    name: 'ordered a millisecond before',
    play: (s, waitMs) =>
      void s
        .add()
        .pass(waitMs - 1)
        .order(),
  },
  // What is due at an event's time comes before the event (3.5).
  { name: 'ordered at that very millisecond', play: (s, waitMs) => void s.add().abandons().pass(waitMs).order() },
  { name: 'put in more a second before, and left', play: (s) => void s.add().almost().add('p2').abandons() },
  { name: 'put in more a second before, and ordered', play: (s) => void s.add().almost().add().almost().order() },
  {
    name: 'put in more a second after, and left again',
    play: (s) => void s.add().abandons().justOver().add('p2').abandons(),
  },
  {
    name: 'took one of two out a second before, and left',
    play: (s) => void s.add().add('p2').almost().remove('p2').abandons(),
  },
  {
    name: 'took one of two out a second after',
    play: (s) => void s.add().pass(second).add('p2').abandons().justOver().remove('p2').abandons(),
  },
  {
    name: 'changed the cart again and again, and ordered',
    play: (s) => {
      s.add();
      for (let n = s.random(2, 4); n > 0; n--) s.almost().send(n % 2 === 0 ? removed('p2') : added('p2'));
      s.almost().order();
    },
  },
  { name: 'took everything out', play: (s) => void s.add().add('p2').browse().remove().browse().remove('p2') },
  { name: 'took everything out a second before', play: (s) => void s.add().almost().remove() },
  { name: 'took out what was not there', play: (s) => void s.remove('p5').browse() },
  { name: 'took out what was not there, of a cart', play: (s) => void s.add().browse().remove('p5').abandons() },
  // The removal starts the wait of the cart that it ends again; when that is over, the next cart stands there.
  {
    name: 'took everything out and began anew',
    play: (s) => void s.add().pass(minute).remove().abandons().pass(minute).add('p2').abandons(),
  },
  { name: 'ordered, and left the next cart', play: (s) => void s.add().browse().order().browse().add().abandons() },
  {
    name: 'left two carts',
    play: (s, waitMs) => void s.add().abandons().pass(waitMs).order().pass(second).add().abandons(),
  },
  { name: 'ordered, and heard of what was in that order after it', play: (s) => void s.add().browse().order().add() },
  { name: 'only looked', play: (s) => void s.view().browse() },
  {
    name: 'sent what was put in twice',
    play: (s) =>
      void s
        .add()
        .abandons()
        .pass(10 * minute)
        .view()
        .pass(second)
        .again('cart_item_added'),
  },
  {
    name: 'sent an order twice, the second time with another cart begun',
    play: (s) => void s.add().browse().order().browse().add('p2').abandons().pass(minute).again('order_completed'),
  },
  {
    name: 'sent what was taken out twice',
    play: (s) =>
      void s.add().add('p2').browse().remove().abandons().pass(minute).view().pass(minute).again('cart_item_removed'),
  },
  {
    name: 'ordered and began the next cart, told in the other order',
    numbered: true,
    play: (s) => void s.add().browse().swapped(ordered(), 10, added('p2')).abandons(100),
  },
  {
    name: 'took everything out and in again, told in the other order',
    numbered: true,
    play: (s) => void s.add().pass(minute).swapped(removed('p1'), 10, added('p1')).abandons(110).abandons(100),
  },
  {
    name: 'ordered a second before, told after what came next',
    numbered: true,
    play: (s) => void s.add().almost().swapped(ordered(), 20, view()),
  },
  {
    name: 'ordered a second after, told after what came next',
    numbered: true,
    play: (s) => void s.add().abandons().justOver().swapped(ordered(), 20, view()),
  },
  // Late, out of the hold: what came after it set the wait.
  {
    name: 'put in something that was told ten minutes later',
    numbered: true,
    play: (s) =>
      void s
        .add()
        .pass(minute)
        .send(added('p2'), 10 * minute)
        .pass(minute)
        .add('p3')
        .abandons()
        .pass(minute)
        .view()
        .pass(10 * minute),
  },
  {
    name: 'ordered, told ten minutes later than what was put in after it',
    numbered: true,
    play: (s) =>
      void s
        .add()
        .pass(minute)
        .send(ordered(), 10 * minute)
        .pass(minute)
        .add('p2')
        .pass(15 * minute),
  },
  // The wait begins when Usher hears of the cart: by the time that the visitor has then (3.3).
  {
    name: 'put in something that was told after a look',
    numbered: true,
    play: (s) =>
      void s
        .send(added('p1'), 10 * minute)
        .pass(2 * minute)
        .view()
        .abandons()
        .pass(15 * minute),
  },
  {
    name: 'left the next cart, and then it was told what was in the order before',
    numbered: true,
    play: (s, waitMs) =>
      void s
        .send(added('p3'), waitMs + 5 * minute)
        .pass(second)
        .order()
        .pass(minute)
        .add('p2')
        .abandons()
        .pass(waitMs + minute)
        .view()
        .pass(5 * minute),
  },
  {
    name: 'ordered in time, told when the wait was over',
    play: (s, waitMs) => {
      s.add();
      // In the time of a historic visitor the wait was not over.
      if (!s.historic) s.abandons();
      s.pass(waitMs - second).send(ordered(), minute);
    },
  },
];

/** Misses by a second are played three times as often as the others. */
const deck = scenes.flatMap((scene) => (scene.name.includes('a second') ? [scene, scene, scene] : [scene]));
