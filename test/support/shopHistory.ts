import { seededRandom } from './random.ts';

/** What is appended next, and how long after what came before, ms by the log's clock. */
export interface HistoryStep {
  readonly afterMs: number;
  /** The visitor; null for a record that goes to all shards. */
  readonly visitor: string | null;
  readonly value: string;
}

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/**
 * What the visitors of the demo store, and those who send to it, may do to a log: browse, buy and search with several numbered
 * sources that lose, repeat, swap and skip; come back after minutes, hours and months; be imported; send nonsense. Times are before
 * `startMs` plus the pauses. The same seed gives the same history.
 *
 * @param playbooks activations, made of their playbooks' and catalogs' hashes, that the history switches between
 */
export function* shopHistory(options: {
  readonly seed: number;
  readonly records: number;
  readonly visitors: number;
  readonly startMs: number;
  readonly playbooks: readonly { readonly playbook: string; readonly catalog: string }[];
}): Generator<HistoryStep> {
  const random = seededRandom(options.seed);
  const chance = (share: number) => random() < share;
  const whole = (below: number) => Math.floor(random() * below);
  const pick = <T>(list: readonly T[]): T => list[whole(list.length)]!;
  const product = () => (chance(0.03) ? 'not_in_the_catalog' : `p_${String(1 + whole(60)).padStart(3, '0')}`);
  const price = () => (chance(0.5) ? {} : { price: pick([whole(50_000) / 100, 1.005, 0, 99.999]) });
  const quantity = () => 1 + whole(4);

  const happenings: readonly (readonly [weight: number, make: () => { type: string; properties: object }])[] = [
    [8, () => ({ type: 'page_viewed', properties: chance(0.5) ? {} : { title: 'Sömmer 🏔' } })],
    [14, () => ({ type: 'product_viewed', properties: { productId: product() } })],
    [
      4,
      () => ({ type: 'product_clicked', properties: { productId: product(), list: 'search', position: 1 + whole(9) } }),
    ],
    [3, () => ({ type: 'time_spent', properties: { pageViewId: 'v', seconds: pick([10, 30.5, 120, 300]) } })],
    [5, searched],
    [7, () => ({ type: 'cart_item_added', properties: { productId: product(), quantity: quantity(), ...price() } })],
    [
      4,
      () => ({
        type: 'cart_item_removed',
        properties: { productId: product(), ...(chance(0.5) ? { quantity: quantity() } : {}) },
      }),
    ],
    [2, () => ({ type: 'checkout_started', properties: {} })],
    [3, order],
    [2, () => ({ type: pick(['slot_shown', 'slot_clicked']), properties: { slot: 'notice', content: 'notice_help' } })],
    [1, () => ({ type: 'element_clicked', properties: { element: 'size guide' } })],
    [
      1,
      () => ({
        type: pick(['never_declared', 'cart_item_added']),
        properties: { productId: 7, quantity: 'many', price: -1 },
      }),
    ],
  ];
  const weights = happenings.flatMap(([weight, make]) => new Array<typeof make>(weight).fill(make));
  function searched() {
    const query = pick(['Tent for two', 'COFFEE', 'nothing like it', 'ä'.repeat(190), 'a "quoted" word']);
    return { type: 'search_performed', properties: { query, ...(chance(0.5) ? { results: whole(3) } : {}) } };
  }
  function order() {
    const lines = Array.from({ length: 1 + whole(3) }, () => ({
      productId: product(),
      quantity: quantity(),
      ...price(),
    }));
    return { type: 'order_completed', properties: { orderId: `o${whole(1e9)}`, lines } };
  }
  function context(): object {
    if (chance(0.6)) return {};
    const page = pick(['home', 'product', 'cart', undefined]);
    const url = pick([
      `https://shop.example/${page ?? ''}`,
      'https://shop.example/?utm_source=news&utm_campaign=spring_boots#top',
      'https://shop.example/?utm_source=mail%20%C3%A4+b',
      'https://shop.example/?utm_medium=&utm_source=',
    ]);
    const device = pick([undefined, 'mobile', 'desktop', 'bot']);
    return { context: { url, page, device, referrer: pick([undefined, 'https://search.example/']) } };
  }

  let now = options.startMs;
  const numbers = new Map<string, number>();
  /** When each visitor's last order happened: an add of the same moment was in it. */
  const ordered = new Map<string, number>();
  const delayed: HistoryStep[] = [];

  function event(visitor: string): { [member: string]: unknown } {
    const made: { [member: string]: unknown } = {
      v: 1,
      kind: 'event',
      id: `e${whole(1e12)}`,
      visitor,
      ...pick(weights)(),
      ...context(),
    };
    const isImported = visitor.startsWith('u:old') && chance(0.97);
    if (isImported) Object.assign(made, { at: now - 200 * day + whole(40) * hour + whole(minute), imported: true });
    else if (made['type'] === 'cart_item_added' && chance(0.2)) made['at'] = ordered.get(visitor) ?? now;
    else if (chance(0.4)) made['at'] = Math.max(0, now - pick([0, 5, 700, 40 * minute, 30 * hour, -20]));
    if (made['type'] === 'order_completed') ordered.set(visitor, (made['at'] as number | undefined) ?? now);
    if (isImported || chance(0.85)) {
      const source = isImported ? 'file' : pick(['tab', 'tab', 'tab', 'phone', `${whole(9)}`]);
      const key = `${visitor} ${source}`;
      const sequence = (numbers.get(key) ?? (chance(0.1) ? 30 : 0)) + (chance(0.06) ? 1 + whole(4) : 1);
      numbers.set(key, sequence);
      Object.assign(made, { source, sequence });
      // A number from long ago, which may be a copy.
      if (chance(0.01)) made['sequence'] = 1 + whole(12);
      if (chance(0.04) && sequence > 3) made['skipped'] = [sequence - 1, sequence - 2];
    } else {
      const fate = random();
      if (fate < 0.2) made['id'] = `again-${visitor}-${whole(3)}`;
      else if (fate < 0.4) made['retryOf'] = `${whole(4)}:${whole(2 * options.visitors)}`;
    }
    return made;
  }

  const rejected = (visitor: string) => {
    const from = { type: 'order_completed', topic: 'orders', partition: 0, offset: whole(20), detail: 'expected JSON' };
    return JSON.stringify({
      v: 1,
      kind: 'rejected',
      id: `orders:0:${from.offset}`,
      ...(chance(0.8) ? { visitor } : {}),
      ...from,
    });
  };
  const toAll = (record: object): HistoryStep => ({
    afterMs: 0,
    visitor: null,
    value: JSON.stringify({ v: 1, id: `s${whole(1e12)}`, ...record }),
  });
  const poison = [
    '',
    '[]',
    '{"v":1',
    '{"v":1,"kind":"event","id":"p"}',
    '{"v":1,"kind":"identified","id":"q","visitor":"V","user":"u"}',
  ];

  yield { ...toAll({ kind: 'activate', ...options.playbooks[0], foldVersion: 1 }), afterMs: 1 };
  for (let n = 0; n < options.records; n++) {
    const afterMs = chance(0.7) ? whole(30) : pick([50, 51, whole(20_000), whole(20_000), 4 * minute, 31 * minute]);
    now += afterMs;
    // One of them does more than the others.
    const who = chance(0.1) ? 0 : whole(options.visitors);
    const visitor = `${chance(0.15) ? 'u:old' : 'dev:ünï'}${who}`;
    const what = random();
    if (what < 0.9) {
      const made = event(visitor);
      const step = { afterMs, visitor, value: JSON.stringify(made) };
      const fate = random();
      if (fate < 0.03) {
        delayed.push({ ...step, afterMs: 1 });
        yield toAll({ kind: 'tick' });
      } else yield step;
      if (fate > 0.95) yield { ...step, afterMs: 0 };
    } else if (what < 0.93 && delayed.length > 0) yield delayed.splice(whole(delayed.length), 1)[0]!;
    else if (what < 0.96)
      yield { afterMs, visitor, value: JSON.stringify({ v: 1, kind: 'touched', id: `t${n}`, visitor }) };
    else if (what < 0.965) yield { afterMs, visitor, value: rejected(visitor) };
    else if (what < 0.97) yield { afterMs, visitor, value: pick(poison).replace('"V"', JSON.stringify(visitor)) };
    else if (what < 0.975)
      yield { ...toAll({ kind: 'activate', ...pick(options.playbooks), foldVersion: 1 }), afterMs };
    else if (what < 0.98) yield { ...toAll({ kind: 'advance', to: now - 200 * day + whole(40) * hour }), afterMs };
    else yield { ...toAll({ kind: 'tick' }), afterMs };
    // Once, all are gone, for longer than they are remembered.
    if (n === Math.floor(options.records * 0.7)) {
      now += 120 * day;
      yield { ...toAll({ kind: 'tick' }), afterMs: 120 * day };
    }
  }
}
