import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addToCart,
  type CartState,
  cartValue,
  emptyCart,
  maxCartLines,
  orderCart,
  removeFromCart,
} from '../../src/decide/cart.ts';
import type { Catalog } from '../../src/playbook/playbook.ts';

const prices = { catalog: { version: 'c', products: new Map() } satisfies Catalog, minorDigits: 2 };

describe('a cart', () => {
  it('has 200 lines at most; one more is refused, more of one that is there is not', () => {
    let cart: CartState = emptyCart;
    for (let i = 0; i < maxCartLines; i++) cart = addToCart(cart, { productId: `p${i}`, price: 1 }, 0, prices);
    expect(cart[1].length).toBe(200);
    expect(() => addToCart(cart, { productId: 'one more', price: 1 }, 0, prices)).toThrow('200 lines');
    expect(addToCart(cart, { productId: 'p7', price: 1 }, 0, prices)[1][7]).toEqual(['p7', 2, 100, 0]);
  });

  it('never holds more than a million of a product', () => {
    const full = addToCart(emptyCart, { productId: 'p', quantity: 1_000_000, price: 1 }, 0, prices);
    expect(addToCart(full, { productId: 'p', quantity: 5, price: 1 }, 0, prices)[1]).toEqual([
      ['p', 1_000_000, 100, 0],
    ]);
    expect(() => addToCart(emptyCart, { productId: 'p', quantity: 1_000_001, price: 1 }, 0, prices)).toThrow('1000000');
  });

  it.each([
    [{ price: 1 }, 'productId'],
    [{ productId: '', price: 1 }, 'productId'],
    [{ productId: 'p', quantity: 0, price: 1 }, 'quantity'],
    [{ productId: 'p', quantity: '2', price: 1 }, 'quantity'],
    [{ productId: 'p', price: 'free' }, 'price'],
  ])('refuses %j, naming what is wrong', (properties, named) => {
    expect(() => addToCart(emptyCart, properties, 0, prices)).toThrow(named);
  });

  it('is what plain counting says, whatever is done to it', () => {
    const product = fc.constantFrom('a', 'b', 'c');
    const quantity = fc.integer({ min: 1, max: 4 });
    const act = fc.oneof(
      fc.record({ add: product, quantity, price: fc.integer({ min: 0, max: 500 }) }),
      fc.record({ remove: product, quantity: fc.option(quantity) }),
      fc.constant({ order: true }),
    );
    fc.assert(
      fc.property(fc.array(act, { maxLength: 30 }), (acts) => {
        let cart: CartState = emptyCart;
        let id = 1;
        const lines = new Map<string, { quantity: number; price: number }>();
        acts.forEach((act, at) => {
          if ('add' in act) {
            const { add, quantity, price } = act;
            cart = addToCart(cart, { productId: add, quantity, price: price / 100 }, at, prices);
            lines.set(add, { quantity: (lines.get(add)?.quantity ?? 0) + quantity, price });
          } else if ('remove' in act) {
            const { remove, quantity } = act;
            cart = removeFromCart(cart, { productId: remove, ...(quantity === null ? {} : { quantity }) }, at);
            const line = lines.get(remove);
            if (line === undefined) return;
            line.quantity -= quantity ?? line.quantity;
            if (line.quantity <= 0) lines.delete(remove);
            if (lines.size === 0) id++;
          } else {
            cart = orderCart(cart, at);
            lines.clear();
            id++;
          }
        });
        expect(cart[0]).toBe(id);
        expect(new Map(cart[1].map(([productId, quantity, price]) => [productId, { quantity, price }]))).toEqual(lines);
        expect(cartValue(cart[1])).toBe([...lines.values()].reduce((sum, line) => sum + line.quantity * line.price, 0));
      }),
    );
  });
});
