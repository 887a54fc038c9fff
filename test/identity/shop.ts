import { readFileSync } from 'node:fs';
import { canonicalJson } from '../../src/model/json.ts';
import { builtInPath, bundleHash, compileCatalog, compilePlaybook, mainPath } from '../../src/playbook/compile.ts';
import type { ActiveBundles } from '../../src/playbook/playbook.ts';

/**
 * A shop whose visitors keep something of every kind, with limits that short histories meet. The model knows it by heart
 * (model.ts): what stands here stands there in plain functions.
 */
const text = `
format: 1
currency: USD
timezone: Europe/Berlin
session: { idle: 10m }

events:
  consent_told:
    name: Consent told
    says: told a consent
    properties: { required: [granted], properties: { granted: { type: boolean } } }

content:
  plain: { type: banner, title: Welcome }
  hello: { type: banner, title: Hello }
  reminder: { type: banner, title: Still in the cart }

slots:
  banner: { fallback: plain }
  corner: { fallback: plain }
  cart_corner: { fallback: plain }

traits:
  views: { count: product_viewed }
  seconds: { sum: time_spent, of: event.seconds }
  least: { min: time_spent, of: event.seconds }
  most: { max: time_spent, of: event.seconds }
  mean: { average: time_spent, of: event.seconds }
  first_query: { first: search_performed, of: event.query }
  last_query: { last: search_performed, of: event.query }
  recent: { recent: product_viewed, of: event.productId, limit: 3 }
  queries: { distinct: search_performed, of: event.query, limit: 3 }
  by_product: { count: product_viewed, by: event.productId, groups: 3 }
  lately: { count: product_viewed, over: 1h }
  lately_by_product: { count: product_viewed, by: event.productId, over: 1h, groups: 3 }
  products_lately: { distinct: product_viewed, of: event.productId, over: 1h, limit: 3 }
  interest: { score: product_viewed, halfLife: 1h }
  searches_in_visit: { count: search_performed, over: session }
  offered: { set: text }

segments:
  keen: { if: traits.views >= 4 }
  big_cart: { if: cart.value >= 100 }
  busy: { if: traits.lately >= 3 }

rules:
  again:
    when: search_performed
    limit: { times: 2, per: session }
    then: [{ show: { slot: corner, content: hello } }, { set: { trait: offered, to: event.query } }]
  greet: { when: page_viewed, cooldown: 10m, then: [{ show: { slot: corner, content: hello } }] }
  hello: { when: product_viewed, limit: { times: 3, per: visitor }, then: [{ show: { slot: banner, content: hello, for: 20m } }] }
  left_cart:
    when: { absent: order_completed, since: cart_item_added, for: 15m, key: cart.id }
    if: cart.value > 0
    limit: { times: 1, per: cart.id }
    then: [{ show: { slot: cart_corner, content: reminder, while: cart.value > 0 } }]
`;

/** Where conditions read a consent is for Usher's own traits to say. */
const consent = '  told_consent: { last: consent_told, of: event.granted, path: consent.told }';
const builtIn = readFileSync(new URL('../../src/playbook/builtin.yaml', import.meta.url), 'utf8').replace(
  '\ntraits:\n',
  () => `\ntraits:\n${consent}\n`,
);

/** Prices in cents. */
export const prices: { readonly [product: string]: number } = { p1: 3_000, p2: 4_500, p3: 9_900, p4: 100 };

export interface Shop {
  readonly playbook: string;
  readonly catalog: string;
  get(playbook: string, catalog: string): ActiveBundles | null;
}

let made: Shop | null = null;

export function shop(): Shop {
  if (made !== null) return made;
  const bundle = canonicalJson({ files: { [builtInPath]: builtIn, [mainPath]: text } });
  const { playbook, problems } = compilePlaybook(bundle);
  if (playbook === null)
    throw new Error(problems.map(({ file, line, message }) => `${file}:${line}: ${message}`).join('\n'));
  const products = Object.entries(prices).map(([id, price]) => ({
    id,
    price,
    name: id,
    category: '',
    brand: '',
    image: '',
    url: '',
  }));
  const listed = canonicalJson({ products });
  const active = { playbook, catalog: compileCatalog(listed) };
  const hashes = { playbook: bundleHash(bundle), catalog: bundleHash(listed) };
  made = { ...hashes, get: (...asked) => (asked.join() === Object.values(hashes).join() ? active : null) };
  return made;
}
