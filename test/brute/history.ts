import { seededRandom } from '../support/random.ts';
import type { EventRecord } from './arrivals.ts';
import type { Logged } from './model.ts';
import { products, spans } from './shop.ts';

/** Near what the calendar changes: opening time, a rule's `from`, closing time, midnight and the hour that is left out in spring. */
const beginnings = [
  '2026-03-27T07:50:00.000Z',
  '2026-03-27T08:00:03.250Z',
  '2026-03-27T16:40:00.000Z',
  '2026-03-28T22:35:00.001Z',
  '2026-03-29T00:30:00.000Z',
].map((text) => Date.parse(text));

const minute = 60_000;
/** How long before it was appended an imported event happened. */
export const importedAgo = 90 * minute;

export interface History {
  readonly visitors: readonly string[];
  /** The records after the activation. */
  readonly log: readonly Logged[];
}

/**
 * A few visitors of the shop and their log: with events of one or two numbered sources or with ids alone, imported first or live from the
 * start; repeated, lost, swapped and late; with ticks and advances between. Times are drawn to meet the ends of
 * windows, waits and holds to the millisecond. The same seed gives the same history.
 *
 * @param beginning when it begins; without it, at each of the times that the calendar makes hard in turn
 */
export function historyOf(seed: number, beginning?: number): History {
  const random = seededRandom(seed);
  const chance = (share: number) => random() < share;
  const whole = (below: number) => Math.floor(random() * below);
  const pick = <T>(list: readonly T[]): T => list[whole(list.length)]!;
  /** Mostly the first ones. */
  const small = () =>
    pick([0, 0, 0, 1, 1, 20, 999, 1_000, 2_000, 3_000, 5_000, 7_000, 10_000, 10_000, 20_000, 40_000, minute]);

  const visitors = Array.from(
    { length: 1 + whole(3) },
    (_, i) => `${pick(['ids', 'numbers', 'both', 'imported'])}-${i}`,
  );
  const records = visitors.length * (30 + whole(90));
  let clock = beginning ?? beginnings[seed % beginnings.length]!;
  let made = 0;
  const log: Logged[] = [];
  const times = new Map<string, number[]>();
  const numbers = new Map<string, number>();
  const lost: { readonly after: number; readonly record: EventRecord }[] = [];
  const live = new Set<string>();

  const happening = (): Pick<EventRecord, 'type' | 'properties'> => {
    const what = whole(32);
    const { id: productId, price } = pick(products);
    const known = { productId, price: price / 100 };
    if (what < 11) return { type: 'product_viewed', properties: { productId: chance(0.03) ? 'gone' : productId } };
    if (what < 16)
      return {
        type: 'search_performed',
        properties: { query: chance(0.8) ? pick(['tents', 'tents', 'boots']) : `word ${whole(12)}` },
      };
    if (what < 20) return { type: 'page_viewed', properties: {} };
    if (what < 24) return { type: 'cart_item_added', properties: { ...known, quantity: 1 + whole(2) } };
    if (what < 26)
      return { type: 'cart_item_removed', properties: chance(0.5) ? { productId } : { productId, quantity: 1 } };
    if (what < 28) return { type: 'checkout_started', properties: {} };
    if (what < 30)
      return { type: 'order_completed', properties: { orderId: `o${made}`, lines: [{ ...known, quantity: 1 }] } };
    return { type: 'time_spent', properties: { pageViewId: pick(['a', 'b', 'c']), seconds: pick([10, 59.5, 60, 90]) } };
  };

  /** A time at which something of the visitor's ends, to the millisecond, or beside it. */
  const end = (visitor: string): number => {
    const known = times.get(visitor) ?? [];
    return (known[known.length - 1 - whole(Math.min(6, known.length))] ?? clock) + pick(spans) + pick([-1, 0, 0, 1]);
  };
  /** The clock moves to a time that is not too far away. */
  const goTo = (time: number) => {
    if (time > clock && time < clock + 11 * minute) clock = time;
  };

  const timeOf = (visitor: string): number | undefined => {
    const how = random();
    if (how < 0.45) return clock;
    if (how < 0.7) {
      const time = end(visitor);
      goTo(time);
      return Math.min(time, clock);
    }
    if (how < 0.82) return clock - small();
    if (how < 0.86) return clock - pick(spans) - pick([0, 1]);
    if (how < 0.91) return clock + pick([1, 5_000, minute]);
    if (how < 0.95) {
      goTo(Math.ceil(clock / 10_000) * 10_000 + pick([-1, 0, 1]));
      return clock;
    }
    return undefined;
  };

  const append = (value: Logged['value']) => {
    const stamp = clock + (chance(0.8) ? 0 : pick([1, 49, 50, 51, 2_000, 2_000, 30_000, 4 * minute]));
    log.push({ stamp, value });
  };

  const event = (visitor: string): EventRecord => {
    const at = timeOf(visitor);
    times.set(visitor, [...(times.get(visitor) ?? []), at ?? clock].slice(-12));
    const isImported = visitor.startsWith('imported') && !live.has(visitor);
    const base = { v: 1, kind: 'event', id: `e${made++}`, visitor, ...happening() } as const;
    const context = chance(0.03)
      ? { context: { timeZone: pick(['America/New_York', 'Asia/Tokyo', 'Mars/Base']) } }
      : {};
    const numbered = isImported || visitor.startsWith('numbers') || (visitor.startsWith('both') && chance(0.6));
    const source = pick(visitor.startsWith('numbers') ? ['tab', 'tab', 'phone'] : ['tab']);
    const key = `${visitor} ${source}`;
    const sequence = (numbers.get(key) ?? 0) + 1;
    if (numbered) numbers.set(key, sequence);
    return {
      ...base,
      ...context,
      ...(isImported ? { at: (at ?? clock) - importedAgo, imported: true } : at === undefined ? {} : { at }),
      ...(numbered ? { source, sequence } : {}),
    };
  };

  while (log.length < records) {
    if (chance(0.75)) clock += small();
    const due = lost.findIndex(({ after }) => after <= log.length);
    if (due >= 0) {
      append(lost.splice(due, 1)[0]!.record);
      continue;
    }
    const visitor = pick(visitors);
    const what = random();
    if (what < 0.1) {
      if (chance(0.6)) goTo(end(visitor));
      append({ kind: 'tick' });
    } else if (what < 0.16 && log.length > 0) {
      const repeated = log[log.length - 1 - whole(Math.min(10, log.length))]!.value;
      // An imported event of a visitor that is live would fail, also a repeated one that was never folded.
      append(
        repeated.kind === 'event' && live.has(repeated.visitor) && repeated.imported ? { kind: 'tick' } : repeated,
      );
    } else if (what < 0.18) {
      append({ kind: 'advance', to: clock - importedAgo + pick([0, minute, 5 * minute]) });
    } else {
      const isWaitingFor = lost.some(({ record }) => record.visitor === visitor && record.imported);
      if (visitor.startsWith('imported') && log.length > records / 2 && !isWaitingFor) live.add(visitor);
      const record = event(visitor);
      // Lost for a while, or for ever.
      if (record.source !== undefined && chance(0.08)) {
        if (record.imported || chance(0.8)) lost.push({ after: log.length + 1 + whole(5), record });
      } else append(record);
    }
  }
  return { visitors, log };
}
