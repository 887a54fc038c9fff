import type { Declarations } from '../../src/cel/compiler.ts';
import { bool, listOf, money, number, string, timestamp } from '../../src/cel/types.ts';

/** A small world to evaluate in. */
export const declared: Declarations = {
  types: {
    event: {
      kind: 'object',
      fields: {
        query: string,
        results: number,
        seconds: number,
        prices: listOf(number),
        tags: listOf(string),
        gift: bool,
      },
    },
    product: { kind: 'object', fields: { id: string, name: string, price: money } },
    cart: {
      kind: 'object',
      fields: {
        value: money,
        lines: listOf({ kind: 'object', fields: { productId: string, quantity: number, price: money } }),
      },
    },
    now: timestamp,
  },
  unavailable: { segments: 'segments are not run by this version yet' },
};

export const scope = {
  event: { query: 'Red Tent', seconds: 12, prices: [5, 10, 15], tags: ['sale', 'new'], gift: true },
  product: { id: 'p_017', name: 'Tent', price: 349 },
  cart: {
    value: 120.5,
    lines: [
      { productId: 'p_001', quantity: 2, price: 50 },
      { productId: 'p_002', quantity: 1, price: 20.5 },
    ],
  },
  now: Date.UTC(2026, 10, 23, 12),
};
