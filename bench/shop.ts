import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { shardOf } from '../src/model/shard.ts';

/** The work of the Kafka Streams peer, as Usher has it: the same visitors, products, kinds and order of events, the same rules. */
const kinds = ['page_viewed', 'product_viewed', 'cart_item_added', 'order_completed'] as const;
const weights = [40, 45, 12, 3];
const products = 5_000;
const categories = 50;
export const rules = 100;

/** An event on its way into the log. */
export interface ShopEntry {
  readonly shard: number;
  readonly key: string;
  readonly value: string;
}

/** The first `count` events that the peer's loader sends to as many visitors. */
export function* shopEvents(count: number, visitors: number, shards: number): Generator<ShopEntry> {
  const random = new JavaRandom(7n);
  const sequences = new Uint32Array(visitors);
  const at = Date.now();
  for (let n = 0; n < count; n++) {
    const v = Math.floor(random.double() ** 2 * visitors);
    let weight = random.below(100);
    let k = 0;
    while (weight >= weights[k]!) weight -= weights[k++]!;
    const product = Math.floor(random.double() ** 3 * products);
    const id = uuid(random.long(), random.long());
    const kind = kinds[k]!;
    const visitor = `u:v${v}`;
    sequences[v]!++;
    const value = {
      ...{ v: 1, kind: 'event', id, visitor, type: kind, properties: propertiesOf(kind, product, n), at },
      ...{ source: `s${v}`, sequence: sequences[v], context: { path: `/p/${product}` }, receivedAt: at },
    };
    yield { shard: shardOf(visitor, shards), key: visitor, value: JSON.stringify(value) };
  }
}

function propertiesOf(kind: (typeof kinds)[number], product: number, n: number): object {
  const productId = `p${product}`;
  const price = 5 + (product % 200) + 0.5;
  const page = {
    url: `https://shop.example/p/${product}`,
    referrer: `https://shop.example/c/${product % categories}`,
    title: `Product number ${product}`,
  };
  switch (kind) {
    case 'page_viewed':
      return { productId, price, ...page };
    case 'product_viewed':
      return { productId, price, ...page };
    case 'cart_item_added':
      return { productId, quantity: 1, price, ...page };
    case 'order_completed':
      return { orderId: `o${n}`, lines: [{ productId, quantity: 1, price }], ...page };
  }
}

/** java.util.Random, so that both get the same events. */
export class JavaRandom {
  #seed: bigint;
  constructor(seed: bigint) {
    this.#seed = (seed ^ 0x5deece66dn) & 0xffffffffffffn;
  }
  #next(bits: bigint): number {
    this.#seed = (this.#seed * 0x5deece66dn + 0xbn) & 0xffffffffffffn;
    return Number(BigInt.asIntN(32, this.#seed >> (48n - bits)));
  }
  double(): number {
    return (this.#next(26n) * 2 ** 27 + this.#next(27n)) / 2 ** 53;
  }
  below(bound: number): number {
    for (;;) {
      const bits = this.#next(31n);
      const value = bits % bound;
      if (bits - value + (bound - 1) < 2 ** 31) return value;
    }
  }
  long(): bigint {
    const high = BigInt(this.#next(32n)) << 32n;
    return BigInt.asUintN(64, high + BigInt(this.#next(32n)));
  }
}

function uuid(high: bigint, low: bigint): string {
  const hex = high.toString(16).padStart(16, '0') + low.toString(16).padStart(16, '0');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/**
 * The peer's rules: on one kind of event, for a product of one category, from a value of the cart and a number of views of that category on,
 * show a content in one of four slots, by priority. What the peer counts by hand are traits here.
 */
export function writeShopPlaybook(folder: string): void {
  const page =
    '{ productId: { type: string }, price: { type: number }, url: { type: string }, referrer: { type: string }, title: { type: string } }';
  const events = ['page_viewed', 'product_viewed'].map(
    (name) => `  ${name}: { name: ${name}, says: did ${name}, properties: { properties: ${page} } }`,
  );
  const counted = new Set<number>();
  const ruleLines: string[] = [];
  const contentLines: string[] = ['  nothing_yet: { type: text, title: Nothing yet }'];
  for (let i = 0; i < rules; i++) {
    const category = i % categories;
    const views = i % 5;
    const conditions = [`product.category == "c${category}"`, `cart.value >= ${(i * 7) % 200}`];
    if (views > 0) {
      counted.add(category);
      conditions.push(`traits.views_c${category} >= ${views}`);
    }
    const kind = kinds[1 + (i % 2)];
    ruleLines.push(`  rule_${i}:`, `    name: Rule ${i}`, `    when: ${kind}`, `    if: ${conditions.join(' && ')}`);
    ruleLines.push(`    then: [{ show: { slot: slot_${i % 4}, content: content_${i} } }]`, `    priority: ${i % 100}`);
    contentLines.push(`  content_${i}: { type: text, title: Content ${i} }`);
  }
  const traits = [...counted].map((c) => `  views_c${c}: { count: product_viewed, if: product.category == "c${c}" }`);
  const slots = [0, 1, 2, 3].map((i) => `  slot_${i}: { accepts: text, fallback: nothing_yet }`);
  const catalog = Array.from(
    { length: products },
    (_, i) => `  p${i}: { name: Product ${i}, category: c${i % categories}, price: ${5 + (i % 200)}.5 }`,
  );
  mkdirSync(folder, { recursive: true });
  const sections = [
    ['format: 1', 'currency: USD', 'timezone: UTC'],
    ['content:', ...contentLines],
    ['slots:', ...slots],
    ['traits:', ...traits],
    ['rules:', ...ruleLines],
  ];
  void events;
  writeFileSync(join(folder, 'playbook.yaml'), `${sections.flat().join('\n')}\n`);
  writeFileSync(join(folder, 'products.yaml'), `${['catalog:', ...catalog].join('\n')}\n`);
}
