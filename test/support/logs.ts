import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { defaultFoldSettings, type FoldSettings } from '../../src/fold/work.ts';
import { TestBundles } from './bundles.ts';
import { type Cut, FoldShard } from './foldShard.ts';

/** One record of a generated log, with the log's own stamp. */
export interface GeneratedRecord {
  readonly stamp: number;
  readonly value: object | string;
}

export const bundles = new TestBundles();
const playbookText = (name: string) =>
  readFileSync(new URL(`../vectors/playbooks/${name}.yaml`, import.meta.url), 'utf8');
/** Two that a shop may have, one after the other, and two that decide by all that there is. */
const playbooks = ['shop', 'shop2', 'deciding', 'deciding2'].map((name) => bundles.addPlaybook(playbookText(name)));
const catalog = bundles.addCatalog([
  { id: 'p1', price: 8000, category: 'tents', brand: 'Fjord' },
  { id: 'p2', price: 4050, category: 'boots', brand: 'Åre' },
  { id: 'p3', price: 199, category: 'tents', brand: 'Åre' },
  { id: 'p4', price: 1005, category: 'lamps', brand: '' },
]);

/** Limits so small that a short log meets them all. */
export const smallSettings: FoldSettings = {
  ...defaultFoldSettings,
  maxEventAgeMs: 3_600_000,
  visitorRetentionMs: 7_200_000,
  aliasRetentionMs: 10_000_000,
  sources: 2,
  missing: 3,
  skippedAhead: 3,
  recentIds: 2,
  failures: 2,
  heldEvents: 3,
  heldBytes: 700,
  candidates: 2,
  outputs: ['decisions', 'failed'],
};

type Happening = fc.Arbitrary<{ type: string; properties: object }>;
const product = fc.constantFrom('p1', 'p2', 'p3', 'unknown');
const happening: Happening = fc.oneof(
  fc.constant({ type: 'page_viewed', properties: {} }),
  product.map((productId) => ({ type: 'product_viewed', properties: { productId } })),
  product.map((productId) => ({ type: 'product_clicked', properties: { productId } })),
  fc.constantFrom('boots', 'tents').map((query) => ({ type: 'search_performed', properties: { query } })),
  fc.constant({ type: 'checkout_started', properties: {} }),
  fc.nat(100).map((seconds) => ({ type: 'time_spent', properties: { pageViewId: 'x', seconds } })),
  fc
    .record({ productId: product, quantity: fc.integer({ min: 1, max: 3 }) })
    .map((properties) => ({ type: 'cart_item_added', properties })),
  fc.record({ productId: product }).map((properties) => ({ type: 'cart_item_removed', properties })),
  product.map((productId) => ({
    type: 'order_completed',
    properties: { orderId: 'o', lines: [{ productId, quantity: 1 }] },
  })),
  // What another program may write.
  fc.constant({ type: 'cart_item_added', properties: { productId: 7, quantity: -1 } }),
  fc.constant({ type: 'never_declared', properties: JSON.parse('{"__proto__":{"polluted":true}}') }),
);
/** What rules that decide look at. */
const decisive: Happening = fc.oneof(
  { weight: 3, arbitrary: happening },
  fc
    .constantFrom('p1', 'p2', 'p3', 'p4', 'p4', 'unknown')
    .map((productId) => ({ type: 'product_viewed', properties: { productId } })),
  fc.constantFrom('p1', 'p2', 'p4').map((productId) => ({
    type: 'product_clicked',
    properties: { productId, list: productId === 'p4' ? '' : 'top' },
  })),
  fc
    .record({ pageViewId: fc.constantFrom('x', 'y', 'z'), seconds: fc.constantFrom(5, 30.5, 60, 95, 1.5e308) })
    .map((properties) => ({ type: 'time_spent', properties })),
  fc
    .record({ slot: fc.constantFrom('banner', 'corner'), content: fc.constantFrom('viewed', 'hunter', '__proto__') })
    .map((properties) => ({ type: 'slot_shown', properties })),
  fc.constantFrom('Sömmer', undefined).map((title) => ({ type: 'page_viewed', properties: { title } })),
);
/** Berlin is the playbook's; the last two are none. */
const timeZones = fc.constantFrom(undefined, undefined, 'America/New_York', 'Asia/Kathmandu', 'Nowhere/Land', '');
const urls = fc.constantFrom(
  undefined,
  'https://shop.example/?utm_campaign=spring',
  'https://shop.example/?utm_source=mail',
);

/** How a number relates to the last one of its source: mostly the next, sometimes with a gap, again, or far off. */
const step = fc.oneof({ weight: 6, arbitrary: fc.constant(1) }, fc.constantFrom(2, 3, 0, -1, -2, -6, 7));

export type Line =
  | {
      readonly what: 'event';
      readonly of: number;
      readonly source: string | null;
      readonly step: number;
      readonly skipped: readonly number[];
      readonly ago: number | null;
      readonly happening: { type: string; properties: object };
      readonly url: string | undefined;
      readonly timeZone?: string | undefined;
      /** How many rules deep it is (9.2). */
      readonly depth?: number;
      readonly sameId: boolean;
    }
  | { readonly what: 'copy'; readonly back: number }
  | { readonly what: 'touched'; readonly of: number }
  | { readonly what: 'activate'; readonly playbook: number }
  | { readonly what: 'advance'; readonly ago: number }
  | { readonly what: 'tick' }
  | { readonly what: 'poison'; readonly value: string };

const ages = fc.constantFrom(0, 10, 1_000, 60_000, 1_200_000, 4_000_000, 90_000_000);
export const lines: fc.Arbitrary<Line> = linesOf(happening, {}, 1);
const decisiveLines = linesOf(decisive, { timeZone: timeZones, depth: fc.constantFrom(0, 0, 3, 4) }, 3);

function linesOf(
  happening: Happening,
  more: { readonly timeZone?: fc.Arbitrary<string | undefined>; readonly depth?: fc.Arbitrary<number> },
  lastPlaybook: number,
): fc.Arbitrary<Line> {
  return fc.oneof(
    {
      weight: 14,
      arbitrary: fc.record({
        what: fc.constant('event' as const),
        of: fc.constantFrom(0, 0, 0, 1, 2, 2, 3),
        source: fc.option(fc.constantFrom('s1', 's2', 's3')),
        step,
        skipped: fc.oneof(
          { weight: 5, arbitrary: fc.constant([]) },
          fc.array(fc.integer({ min: -3, max: 2 }), { maxLength: 3 }),
        ),
        ago: fc.option(ages),
        happening,
        url: urls,
        ...more,
        sameId: fc.boolean(),
      }),
    },
    { weight: 2, arbitrary: fc.record({ what: fc.constant('copy' as const), back: fc.nat(6) }) },
    fc.record({ what: fc.constant('touched' as const), of: fc.nat(4) }),
    fc.record({ what: fc.constant('activate' as const), playbook: fc.nat(lastPlaybook) }),
    fc.record({ what: fc.constant('advance' as const), ago: ages }),
    fc.record({ what: fc.constant('tick' as const) }),
    {
      weight: 1,
      arbitrary: fc.record({
        what: fc.constant('poison' as const),
        value: fc.constantFrom(
          '',
          '[]',
          '{"v":1,"kind":"event","id":"x","visitor":"anna","source":"s1","sequence":2}',
          '{"v":1,"kind":"event","id":"y","visitor":"berta"}',
          '{"v":1,"kind":"identified","id":"z","visitor":"anna","user":"u"}',
          '{"__proto__":{"kind":"tick"},"v":1,"id":"q"}',
        ),
      }),
    },
  );
}

/** One who does much in a while, and nearly nothing twice: of some things more than a visitor's state keeps. */
const busy: Happening = fc.oneof(
  { weight: 4, arbitrary: fc.nat(60).map((n) => ({ type: 'search_performed', properties: { query: `q${n}` } })) },
  {
    weight: 2,
    arbitrary: fc.nat(24).map((n) => ({ type: 'time_spent', properties: { pageViewId: `v${n}`, seconds: 60 } })),
  },
  { weight: 2, arbitrary: decisive },
);
const busyLines = linesOf(busy, { timeZone: timeZones }, 3);

/** Milliseconds to the next stamp: within a hold, around its end, a while, past a session, past a retention, and back. */
const pause = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(0, 1, 7) },
  { weight: 2, arbitrary: fc.constantFrom(49, 50, 51) },
  { weight: 3, arbitrary: fc.constantFrom(20_000, 300_000, 601_000) },
  { weight: 1, arbitrary: fc.constantFrom(1_800_000, 1_900_000, 7_300_000, -40) },
);

/** Visitors whose events are imported, until one that is not: the last two. */
export const visitors = ['anna', 'berta', 'hanna', 'hugo'];

/** A whole log: an activation at first, then whatever may come. */
export const logs = (maxLength: number): fc.Arbitrary<readonly GeneratedRecord[]> =>
  fc
    .tuple(
      fc.constantFrom(0, 2, 2, 3),
      fc.array(fc.tuple(pause, decisiveLines), { minLength: Math.min(5, maxLength), maxLength, size: 'max' }),
    )
    .map(([playbook, pausesAndLines]) => recordsOf(playbook, pausesAndLines));

/** A long log, nearly all of it one visitor's. */
export const busyLogs = (length: number): fc.Arbitrary<readonly GeneratedRecord[]> => {
  const own = busyLines.filter(({ what }) => what === 'event').map((line) => ({ ...line, of: 0, ago: null }) as Line);
  const line = fc.oneof({ weight: 60, arbitrary: own }, { weight: 1, arbitrary: decisiveLines });
  const soon = fc.oneof({ weight: 30, arbitrary: fc.constantFrom(0, 7, 900, 4_000) }, pause);
  return fc
    .tuple(fc.constantFrom(2, 3), fc.array(fc.tuple(soon, line), { minLength: length, maxLength: length, size: 'max' }))
    .map(([playbook, pausesAndLines]) => recordsOf(playbook, pausesAndLines));
};

function recordsOf(playbook: number, pausesAndLines: readonly (readonly [number, Line])[]): readonly GeneratedRecord[] {
  const records: GeneratedRecord[] = [{ stamp: 0, value: activation('a0', playbook) }];
  const last = new Map<string, number>();
  let stamp = 100_000_000;
  for (const [afterMs, each] of pausesAndLines) {
    stamp = Math.max(0, stamp + afterMs);
    const id = `r${records.length}`;
    records.push({ stamp, value: recordOf(each, id, stamp, records, last) });
  }
  return records;
}

/** What the line says, as a record with this id and about this stamp, after these records and the last numbers of their sources. */
export function recordOf(
  line: Line,
  id: string,
  stamp: number,
  records: readonly GeneratedRecord[],
  last: Map<string, number>,
): object | string {
  switch (line.what) {
    case 'copy':
      return records[Math.max(0, records.length - 1 - line.back)]!.value;
    case 'touched':
      return { v: 1, kind: 'touched', id, visitor: visitors[line.of] ?? 'nobody' };
    case 'activate':
      return activation(id, line.playbook);
    case 'advance':
      return { v: 1, kind: 'advance', id, to: Math.max(0, stamp - line.ago) };
    case 'tick':
      return { v: 1, kind: 'tick', id };
    case 'poison':
      return line.value;
    case 'event':
      break;
  }
  const visitor = visitors[line.of]!;
  const imported = line.of >= 2 && line.source !== null;
  const event: Record<string, unknown> = {
    v: 1,
    kind: 'event',
    id: line.sameId ? `same-${line.of}` : id,
    visitor,
    ...line.happening,
  };
  if (line.ago !== null || imported) event['at'] = Math.max(0, stamp - (line.ago ?? 0));
  const { url, timeZone, depth = 0 } = line;
  if (url !== undefined || timeZone !== undefined) event['context'] = { url, timeZone };
  if (depth > 0) event['depth'] = depth;
  if (line.source !== null) {
    const key = `${visitor} ${line.source}`;
    const sequence = Math.max(1, (last.get(key) ?? 0) + line.step);
    last.set(key, Math.max(sequence, last.get(key) ?? 0));
    Object.assign(event, { source: line.source, sequence });
    const skipped = line.skipped.map((offset) => sequence + offset).filter((number) => number > 0);
    if (skipped.length > 0) event['skipped'] = skipped;
    if (imported) event['imported'] = true;
  }
  return event;
}

export function activation(id: string, playbook: number): object {
  return { v: 1, kind: 'activate', id, playbook: playbooks[playbook], catalog, foldVersion: 1 };
}

export function foldLog(records: readonly GeneratedRecord[], settings: FoldSettings, cut: Cut): FoldShard {
  const shard = new FoldShard(bundles, { cut, settings });
  for (const { stamp, value } of records) shard.append(value, stamp);
  return shard.fold();
}
