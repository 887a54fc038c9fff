import { describe, expect, it } from 'vitest';
import { boundedValue, cutText, valueLimit } from '../../src/decide/bounds.ts';
import { campaignOf, eventView, pageView, productView } from '../../src/decide/enrich.ts';
import type { EventRecord } from '../../src/model/record.ts';
import { TestBundles } from '../support/bundles.ts';

const bundles = new TestBundles();
const active = bundles.get(
  bundles.addPlaybook('format: 1\ncurrency: USD\n'),
  bundles.addCatalog([{ id: 'p', price: 1999, name: 'Tent', category: 'tents', brand: 'B', image: '/i', url: '/u' }]),
)!;
const event = (type: string, properties: object): EventRecord => ({
  v: 1,
  kind: 'event',
  id: 'e',
  visitor: 'v',
  type,
  properties: properties as EventRecord['properties'],
});

describe('the campaign of a page', () => {
  it.each([
    ['https://s.example/?utm_campaign=spring&utm_source=mail', 'spring'],
    ['https://s.example/?a=1&utm_source=mail&utm_medium=cpc', 'mail'],
    ['https://s.example/?utm_medium=cpc', 'cpc'],
    ['https://s.example/?utm_campaign=&utm_source=mail', 'mail'],
    ['https://s.example/?utm_campaign=winter%20sale#utm_campaign=no', 'winter sale'],
    ['https://s.example/utm_campaign', null],
    ['https://s.example/', null],
    ['?utm_campaign=%ZZ', '%ZZ'],
  ])('of %s is %s', (url, campaign) => expect(campaignOf({ url })).toBe(campaign));

  it('is cut at 128 characters', () => {
    expect(campaignOf({ url: `?utm_campaign=${'x'.repeat(500)}` })).toBe('x'.repeat(128));
  });
});

describe('an event in conditions', () => {
  it('has its own id, type and time, whatever its properties say', () => {
    expect(eventView(event('page_viewed', { id: 'mine', at: 1, title: 't' }), 77, active)).toEqual({
      id: 'e',
      type: 'page_viewed',
      at: 77,
      title: 't',
    });
  });

  it('has the catalog price where its type declares one and none was sent', () => {
    expect(eventView(event('cart_item_added', { productId: 'p' }), 0, active)['price']).toBe(19.99);
    expect(eventView(event('cart_item_added', { productId: 'p', price: 5 }), 0, active)['price']).toBe(5);
    expect(eventView(event('cart_item_added', { productId: 'q' }), 0, active)).not.toHaveProperty('price');
    expect(eventView(event('product_viewed', { productId: 'p' }), 0, active)).not.toHaveProperty('price');
  });

  it('has the value of an order, and the prices its lines leave out', () => {
    const order = event('order_completed', {
      lines: [
        { productId: 'p', quantity: 2 },
        { productId: 'q', quantity: 3, price: 0.1 },
      ],
    });
    expect(eventView(order, 0, active)).toMatchObject({
      value: 40.28,
      lines: [
        { productId: 'p', quantity: 2, price: 19.99 },
        { productId: 'q', price: 0.1 },
      ],
    });
  });

  it.each([
    ['an order without a price', [{ productId: 'q' }], 'PRICE_UNKNOWN'],
    ['lines that are no list', 'p', 'FOLD_ERROR'],
    ['a line that is a text', ['p'], 'FOLD_ERROR'],
    ['a negative price', [{ productId: 'p', price: -1 }], 'FOLD_ERROR'],
    ['half a product', [{ productId: 'p', quantity: 0.5 }], 'FOLD_ERROR'],
    ['201 lines', Array.from({ length: 201 }, () => ({ productId: 'p' })), 'FOLD_ERROR'],
    ['an amount that cannot be counted', [{ productId: 'p', price: 1e300 }], 'FOLD_ERROR'],
  ])('fails for %s', (_what, lines, reason) => {
    expect(() => eventView(event('order_completed', { lines }), 0, active)).toThrow(
      expect.objectContaining({ reason }),
    );
  });

  it('is not misled by a property that bears the name of a prototype', () => {
    const properties = JSON.parse('{"__proto__":{"price":1},"constructor":2}');
    const view = eventView(event('page_viewed', properties), 0, active);
    expect(Object.getPrototypeOf(view)).toBe(Object.prototype);
    expect(view['price']).toBeUndefined();
  });
});

describe('what an event is joined with', () => {
  it('is the product of the catalog, with its price in major units', () => {
    expect(productView('p', active.catalog, 2)).toEqual({
      id: 'p',
      name: 'Tent',
      category: 'tents',
      brand: 'B',
      price: 19.99,
      image: '/i',
      url: '/u',
      stock: null,
      availability: 'in_stock',
    });
    expect(productView('q', active.catalog, 2)).toBeNull();
    expect(productView(7, active.catalog, 2)).toBeNull();
  });

  it('is the page, null where nothing is known', () => {
    expect(pageView({ url: '/?utm_campaign=c', page: 'home' })).toEqual({
      url: '/?utm_campaign=c',
      path: null,
      title: null,
      referrer: null,
      page: 'home',
      locale: null,
      timeZone: null,
      viewport: null,
      campaign: 'c',
      globalPrivacyControl: null,
    });
  });
});

describe('a remembered value', () => {
  it('keeps a text up to the limit and cuts a longer one, never through a character', () => {
    expect(boundedValue('x'.repeat(valueLimit))).toBe('x'.repeat(valueLimit));
    expect(boundedValue('x'.repeat(valueLimit + 1))).toBe('x'.repeat(valueLimit));
    expect(cutText(`${'x'.repeat(9)}😀`, 10)).toBe('x'.repeat(9));
    expect(cutText(`${'x'.repeat(8)}😀y`, 10)).toBe(`${'x'.repeat(8)}😀`);
  });

  it('tells a large list or map by its size', () => {
    expect(boundedValue([1, 2])).toEqual([1, 2]);
    expect(boundedValue(Array.from({ length: 200 }, () => 1))).toBe('(200 items)');
    expect(boundedValue({ a: 'x'.repeat(300) })).toBe('(1 fields)');
  });
});
