import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Catalog, Playbook, Scope } from '../../src/playbook/playbook.ts';
import { type Problem, readPlaybook } from '../../src/playbook/read.ts';
import { demoStoreFolder } from '../support/demoStore.ts';
import { showOf } from '../support/playbooks.ts';

const folder = demoStoreFolder;
let playbook: Playbook;
let catalog: Catalog;
let problems: readonly Problem[];
beforeAll(async () => {
  const read = await readPlaybook(folder);
  if (read.playbook === null || read.catalog === null) throw new Error(JSON.stringify(read.problems));
  ({ playbook, catalog, problems } = { ...read, playbook: read.playbook, catalog: read.catalog });
});

/** What the named condition sees when p_017 is viewed; what no test below needs is left out. */
function scopeWith(cartValue: number): Scope {
  const { id, name, category, brand, price, image, url } = catalog.products.get('p_017')!;
  const product = { id, name, category, brand, price: price / 100, image, url };
  return { product, cart: { id: 1, value: cartValue, lines: [] } } as unknown as Scope;
}

describe('the demo store', () => {
  it('has no mistake but the draft that it is told of', () => {
    expect(problems).toMatchObject([
      { severity: 'warning', message: 'the rule gift_wrap is a draft and does not run' },
    ]);
  });

  it('declares the standard events', () => {
    expect([...playbook.events.keys()]).toEqual(
      expect.arrayContaining([
        'page_viewed',
        'product_viewed',
        'product_clicked',
        'element_clicked',
        'time_spent',
        'search_performed',
        'cart_item_added',
        'cart_item_removed',
        'checkout_started',
        'order_completed',
        'slot_shown',
        'slot_clicked',
      ]),
    );
  });

  it('sells 60 products in ten categories, each with a brand, a price and a picture', () => {
    const products = [...catalog.products.values()];
    expect(products.map(({ id }) => id)).toEqual(
      Array.from({ length: 60 }, (_, i) => `p_${String(i + 1).padStart(3, '0')}`),
    );
    expect(new Set(products.map(({ category }) => category)).size).toBe(10);
    for (const product of products) {
      expect(product.brand).not.toBe('');
      expect(product.price).toBeGreaterThan(0);
      expect(product.image).toBe(`/playbook/images/${product.id}.svg`);
    }
    expect(catalog.products.get('p_017')).toMatchObject({ category: 'tents', price: 34_900 });
  });

  it('has small pictures that can do nothing but be looked at', () => {
    const files = readdirSync(join(folder, 'images'));
    expect(files).toHaveLength(60);
    const pictures = files.map((file) => readFileSync(join(folder, 'images', file), 'utf8'));
    for (const picture of pictures) {
      expect(picture.length).toBeLessThan(1_500);
      expect(picture).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox="0 0 200 200"/);
      expect(picture).not.toMatch(/<script|href|\son\w+=|<foreignObject/i);
    }
    expect(new Set(pictures).size).toBe(60);
  });

  it('fires upsell_over_100 for p_017 beside a cart worth more than 100, and not at 100', () => {
    const rule = playbook.rulesFor('product_viewed').find(({ id }) => id === 'upsell_over_100')!;
    expect(rule.if?.evaluate(scopeWith(100.01))).toBe(true);
    expect(rule.if?.evaluate(scopeWith(100))).toBe(false);
    expect(rule.entries).toMatchObject([{ slot: 'product_upsell', content: 'extra_warranty', forMs: 30 * 60_000 }]);
    expect(showOf(playbook, rule.id).while?.evaluate(scopeWith(99))).toBe(false);
    expect(rule.sentence).toBe(
      'When a visitor views a product, if the product is p_017 and the cart is worth more than 100, show extra_warranty in product_upsell for 30 minutes while the cart is worth more than 100. Priority 50.',
    );
  });

  it('fills contents in from the facts that were captured', () => {
    const { captures } = showOf(playbook, 'upsell_over_100');
    expect(captures).toEqual(['product.name', 'product.image', 'product.id', 'cart.value']);
    const data = playbook.contents.get('extra_warranty')!.render([
      ['product.name', 'Aurora 3 Trekking Tent'],
      ['product.image', '/playbook/images/p_017.svg'],
      ['product.id', 'p_017'],
    ]);
    expect(data).toMatchObject({
      title: 'Protect your Aurora 3 Trekking Tent',
      product: 'p_017',
      image: '/playbook/images/p_017.svg',
      price: 39,
    });
    expect(playbook.contents.get('free_shipping_gap')!.render([['cart.value', 79.5]])).toMatchObject({
      title: '20.50 to free shipping',
    });
  });

  it('has ten rules or more, and each of the words for how long, how important and which one', () => {
    const rules = [...playbook.rules.values()];
    expect(rules.length).toBeGreaterThanOrEqual(10);
    const shows = rules.flatMap(({ entries }) => entries.filter((entry) => entry.do === 'show'));
    expect(shows.some(({ until }) => until !== null)).toBe(true);
    expect(shows.some(({ forMs }) => forMs !== null)).toBe(true);
    expect(shows.some((show) => show.while !== null)).toBe(true);
    expect(rules.some(({ mode }) => mode === 'choose')).toBe(true);
    expect(new Set(rules.map(({ priority }) => priority)).size).toBeGreaterThan(4);
    for (const { sentence } of rules)
      expect(sentence).toMatch(/^When a visitor .*\. Priority -?\d+\.(?: It is .*\.)?$/);
  });

  it('gives every slot a fallback that shows without any fact', () => {
    expect(playbook.slots.size).toBeGreaterThanOrEqual(4);
    for (const { fallback, accepts } of playbook.slots.values()) {
      const content = playbook.contents.get(fallback)!;
      expect(content.type).toBe(accepts);
      expect(JSON.stringify(content.render([]))).not.toContain('${');
    }
  });
});
