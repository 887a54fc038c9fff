import { givenTo, isCovered, stepOf } from './facts.ts';
import type { ModelSegment, ShopModel } from './shopModel.ts';
import { compareText, type Waiting } from './steps.ts';
import { holds, type Past, View } from './view.ts';

const dayMs = 86_400_000;

/** A visitor as the last step left it. */
export interface Standing {
  readonly shop: ShopModel;
  readonly visitor: string;
  readonly past: Past;
  readonly session: number | null;
  readonly segments: ReadonlySet<string>;
  /** `now` of the step. */
  readonly now: number;
  readonly skew: number;
}

/** The segments whose conditions hold for a visitor with this past, at `now` (semantics 3.9). */
export function segmentsAt(shop: ShopModel, past: Past, now: number, session: number | null): ReadonlySet<string> {
  const segments = new Set<string>();
  for (const { id, if: condition } of shop.segments) {
    if (holds(condition, new View({ shop, past, now, session, segments }))) segments.add(id);
  }
  return segments;
}

/**
 * The segment timer of a visitor, if it is due after `after` and by `upTo`: the first time at which a segment differs. It is not
 * computed but looked for: every second, and every millisecond of a second in which something changed. A segment that only the calendar
 * changes is looked at where the fold looks, at the candidates of 3.9.
 */
export function changeBetween(standing: Standing, after: number, upTo: number): Waiting | null {
  const { shop, past, session, segments, skew } = standing;
  const calendars = new Set(shop.segments.filter(({ calendar }) => calendar !== undefined).map(({ id }) => id));
  const differing = (time: number): readonly string[] => {
    const then = segmentsAt(shop, past, time, session);
    return shop.segments.map(({ id }) => id).filter((id) => then.has(id) !== segments.has(id));
  };
  const isOthers = (id: string) => !calendars.has(id);
  const timer = (due: number): Waiting => {
    const [first] = [...differing(due)].sort(compareText);
    return { what: 'segment', key: [first!], due, skew, calendar: false };
  };
  let seen = after;
  for (const time of timesToLook(standing, after, upTo)) {
    const ids = differing(time);
    if (ids.some(isOthers)) {
      for (let ms = seen + 1; ms <= time; ms++) if (differing(ms).some(isOthers)) return timer(ms);
    }
    if (ids.length > 0 && isCandidate(standing, time)) return timer(time);
    seen = time;
  }
  return null;
}

/** Every second of the span, and every instant that a condition names. */
function timesToLook(standing: Standing, after: number, upTo: number): readonly number[] {
  const times = new Set(namedInstants(standing).filter((time) => time > after && time <= upTo));
  for (let second = Math.ceil((after + 1) / 1000) * 1000; second <= upTo; second += 1000) times.add(second);
  return [...times].sort((a, b) => a - b);
}

/** The instants that conditions name, and the ms after them; those of the calendar with the visitor's spread. */
function namedInstants({ shop, visitor, past, session, segments, now }: Standing): readonly number[] {
  const view = (time: number) => new View({ shop, past, now: time, session, segments });
  const times: number[] = [];
  for (const { turns, calendar, score } of shop.segments) {
    const turn = turns?.(view(now)) ?? null;
    if (turn !== null) times.push(turn, turn + 1);
    if (calendar !== undefined) times.push(calendar + spreadOf(visitor), calendar + spreadOf(visitor) + 1);
    const reached = score === undefined ? null : reachedAt(score, now, view);
    if (reached !== null) times.push(reached - 1, reached, reached + 1, reached + 2);
  }
  return times;
}

/** The ms at which a score has come down to what it is compared with; null: it has, or will not within a day. */
function reachedAt(
  { read, bound }: NonNullable<ModelSegment['score']>,
  now: number,
  view: (time: number) => View,
): number | null {
  const isDown = (time: number) => {
    try {
      return read(view(time)) <= bound;
    } catch {
      return true;
    }
  };
  // It falls all the time, so halving the span finds the place.
  let [above, down] = [now, now + dayMs];
  if (isDown(above) || !isDown(down)) return null;
  while (down - above > 1) {
    const middle = Math.floor((above + down) / 2);
    if (isDown(middle)) down = middle;
    else above = middle;
  }
  return down;
}

/** Whether the fold looks at the segments then: at an instant that a condition names, or when something leaves a window that one reads. */
function isCandidate(standing: Standing, time: number): boolean {
  if (namedInstants(standing).includes(time)) return true;
  const { shop, past } = standing;
  return shop.segments.some(({ windows = [] }) =>
    windows.some((name) => {
      const trait = shop.traits[name]!;
      const width = trait.over!;
      return (
        time % stepOf(width) === 0 &&
        givenTo(trait, shop.catalog, past.events).some(
          ({ event: { te } }) => isCovered(width, te, time - 1) && !isCovered(width, te, time),
        )
      );
    }),
  );
}

/** Up to ten minutes, so that not all visitors change at one instant. */
function spreadOf(visitor: string): number {
  return murmur2(new TextEncoder().encode(visitor)) % 600_000;
}

/** As Kafka's default partitioner hashes a key, without its sign. */
function murmur2(bytes: Uint8Array): number {
  const mix = 0x5bd1e995;
  let hash = 0x9747b28c ^ bytes.length;
  let i = 0;
  for (; i + 4 <= bytes.length; i += 4) {
    let word = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    word = Math.imul(word, mix);
    word ^= word >>> 24;
    hash = Math.imul(hash, mix) ^ Math.imul(word, mix);
  }
  const rest = bytes.length - i;
  if (rest >= 3) hash ^= bytes[i + 2]! << 16;
  if (rest >= 2) hash ^= bytes[i + 1]! << 8;
  if (rest >= 1) hash = Math.imul(hash ^ bytes[i]!, mix);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, mix);
  return (hash ^ (hash >>> 15)) & 0x7fffffff;
}
