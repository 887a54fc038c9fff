/**
 * What conditions see, worked out from the list of a visitor's folded events each time somebody asks. Part of the model: nothing
 * here comes from src, and nothing is remembered from one question to the next.
 */
export type Value = null | boolean | number | string | readonly Value[] | { readonly [name: string]: Value };

export interface Product {
  readonly id: string;
  readonly category: string;
  readonly brand: string;
  /** Cents. */
  readonly price: number;
}

/** An event of the visitor that was folded. */
export interface Happened {
  readonly offset: number;
  readonly id: string;
  readonly type: string;
  readonly properties: { readonly [name: string]: Value };
  readonly timeZone: string | null;
  /** Event time. */
  readonly te: number;
  /** Visitor now, this event included. */
  readonly now: number;
  /** Number of the session it belongs to. */
  readonly session: number;
}

/** One event and the catalog's product of it. Reading what is not there throws, as it does in a condition. */
export interface Seen {
  readonly event: { readonly [name: string]: Value };
  readonly product: { readonly id: string; readonly category: string; readonly brand: string; readonly price: number };
}

export interface ModelTrait {
  readonly kind:
    | 'count'
    | 'sum'
    | 'min'
    | 'max'
    | 'average'
    | 'last'
    | 'first'
    | 'recent'
    | 'distinct'
    | 'rate'
    | 'score'
    | 'set';
  /** none: of every type. */
  readonly of?: readonly string[];
  readonly inSession?: true;
  readonly over?: number;
  readonly if?: (seen: Seen) => boolean;
  readonly value?: (seen: Seen) => Value;
  readonly by?: (seen: Seen) => Value;
  readonly limit?: number;
  readonly groups?: number;
  readonly halfLife?: number;
  /** Added up in cents. */
  readonly money?: true;
  readonly per?: number;
  /** Before the first value. */
  readonly initial?: Value;
}

export function seenOf(catalog: readonly Product[], event: Happened): Seen {
  const { id, type, te, properties } = event;
  return {
    get event() {
      return { ...properties, id, type, at: te };
    },
    get product() {
      const product = catalog.find((each) => each.id === properties['productId']);
      if (product === undefined) throw new Error('no product');
      return { ...product, price: product.price / 100 };
    },
  };
}

const stepsOf = [1_000, 10_000, 60_000, 600_000, 3_600_000, 86_400_000];

/** The first step that is at least a sixtieth of the width, at most a day. */
export function stepOf(width: number): number {
  return stepsOf.find((step) => step * 60 >= width) ?? 86_400_000;
}

/** Whether a time lies in one of the steps that a window covers at `now`. */
export function isCovered(width: number, time: number, now: number): boolean {
  const step = stepOf(width);
  const steps = Math.ceil(width / step);
  const current = Math.floor(now / step);
  const number = Math.floor(time / step);
  return number >= current - steps + 1 && number <= current;
}

/** The events that a trait is made of, with the value and the group that each gives it. */
export interface Given {
  readonly event: Happened;
  readonly value: Value;
  readonly group: Value;
}

const answers = new WeakMap<readonly Happened[], Map<unknown, unknown>>();

/**
 * What a list of events alone says is worked out once a list, which never changes: a search second by second asks the same
 * thousands of times. `question` is any value that stands for it.
 */
export function once<T>(events: readonly Happened[], question: unknown, answer: () => T): T {
  let known = answers.get(events);
  if (known === undefined) {
    known = new Map();
    answers.set(events, known);
  }
  if (!known.has(question)) known.set(question, answer());
  return known.get(question) as T;
}

/**
 * What these events give to the trait, those of other sessions too, in the order in which it joins them: a window by its steps, and
 * without what came too late to stand in it.
 */
export function givenTo(trait: ModelTrait, catalog: readonly Product[], events: readonly Happened[]): readonly Given[] {
  return once(events, trait, () => allGivenTo(trait, catalog, events));
}

function allGivenTo(trait: ModelTrait, catalog: readonly Product[], events: readonly Happened[]): readonly Given[] {
  const given: Given[] = [];
  for (const event of events) {
    if (trait.of !== undefined && !trait.of.includes(event.type)) continue;
    const seen = seenOf(catalog, event);
    try {
      if (trait.if !== undefined && !trait.if(seen)) continue;
      const value = trait.value === undefined ? 1 : trait.value(seen);
      const group = trait.by === undefined ? '' : trait.by(seen);
      if (value === null || group === null || typeof group === 'object') continue;
      given.push({ event, value, group });
    } catch {
      // What fails gives nothing.
    }
  }
  const { over } = trait;
  if (over === undefined) return given;
  const step = stepOf(over);
  return given
    .filter(({ event }) => isCovered(over, event.te, event.now))
    .sort((a, b) => Math.floor(a.event.te / step) - Math.floor(b.event.te / step));
}

export function traitValue(
  trait: ModelTrait,
  catalog: readonly Product[],
  events: readonly Happened[],
  now: number,
  session: number | null,
): Value {
  const { over } = trait;
  let given = givenTo(trait, catalog, events);
  if (trait.inSession) given = given.filter(({ event }) => event.session === session);
  if (over !== undefined) given = given.filter(({ event }) => isCovered(over, event.te, now));
  if (trait.by === undefined) return oneValue(trait, given, now);
  const read: { [group: string]: Value } = {};
  const most = trait.groups ?? 16;
  const isAlways = over === undefined && !trait.inSession;
  const groups = isAlways ? once(events, trait.by, () => groupsOf(most, given)) : groupsOf(most, given);
  for (const [group, ofGroup] of groups) read[group] = oneValue(trait, ofGroup, now);
  return read;
}

/** The groups that are kept: a new one makes the one that was seen least recently leave, with all that it had. */
function groupsOf(most: number, given: readonly Given[]): ReadonlyMap<string, readonly Given[]> {
  const groups = new Map<string, Given[]>();
  for (const each of given) {
    const group = String(each.group);
    const before = groups.get(group) ?? [];
    groups.delete(group);
    if (groups.size === most) groups.delete([...groups.keys()][0]!);
    groups.set(group, [...before, each]);
  }
  return groups;
}

function oneValue(trait: ModelTrait, given: readonly Given[], now: number): Value {
  const { initial = null } = trait;
  const values = given.map(({ value }) => value);
  const numbers = values as number[];
  const added = numbers.reduce((all, value) => all + value, 0);
  const sum = trait.money ? Math.round(added * 100) / 100 : added;
  switch (trait.kind) {
    case 'count':
      return values.length;
    case 'sum':
      return sum;
    case 'min':
      return values.length === 0 ? null : Math.min(...numbers);
    case 'max':
      return values.length === 0 ? null : Math.max(...numbers);
    case 'average':
      return values.length === 0 ? null : sum / values.length;
    case 'last':
      return values.at(-1) ?? initial;
    case 'first':
      return values[0] ?? initial;
    case 'recent': {
      const newestFirst = values.toReversed();
      return newestFirst.filter((value, i) => newestFirst.indexOf(value) === i).slice(0, trait.limit ?? 20);
    }
    case 'distinct':
      return Math.min(trait.limit ?? 64, new Set(values).size);
    case 'rate':
      return (values.length * trait.per!) / trait.over!;
    case 'score': {
      const left = (value: number, ms: number) => {
        const rest = value * 2 ** (-ms / trait.halfLife!);
        return rest < 1e-6 ? 0 : rest;
      };
      let score = 0;
      let at = now;
      for (const { event, value } of given) {
        score = left(score, event.now - at) + (value as number) * 2 ** (-(event.now - event.te) / trait.halfLife!);
        at = event.now;
      }
      return left(score, now - at);
    }
    case 'set':
      return initial;
  }
}

export interface ModelCart {
  readonly id: number;
  readonly value: number;
  readonly lines: readonly { readonly productId: string; readonly quantity: number; readonly price: number }[];
}

/** The cart after these events (10.2). */
export function cartOf(events: readonly Happened[]): ModelCart {
  let id = 1;
  let lines: { productId: string; quantity: number; price: number }[] = [];
  events.forEach((event, i) => {
    const productId = event.properties['productId'] as string;
    const quantity = event.properties['quantity'] as number | undefined;
    const there = lines.find((line) => line.productId === productId);
    if (event.type === 'cart_item_added' && !wasInOrder(event, events.slice(0, i))) {
      const price = Math.round((event.properties['price'] as number) * 100);
      if (there === undefined) lines.push({ productId, quantity: quantity ?? 1, price });
      else Object.assign(there, { quantity: there.quantity + (quantity ?? 1), price });
    } else if (event.type === 'cart_item_removed' && there !== undefined) {
      there.quantity -= quantity ?? there.quantity;
      lines = lines.filter((line) => line.quantity > 0);
      if (lines.length === 0) id++;
    } else if (event.type === 'order_completed') {
      lines = [];
      id++;
    }
  });
  const cents = lines.reduce((sum, line) => sum + line.quantity * line.price, 0);
  return { id, value: cents / 100, lines };
}

/** An add that is not later than the latest order before it was in that order. */
export function wasInOrder(event: Happened, before: readonly Happened[]): boolean {
  return (
    event.type === 'cart_item_added' && before.some(({ type, te }) => type === 'order_completed' && event.te <= te)
  );
}
