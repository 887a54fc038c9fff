import type { Json, JsonObject } from '../model/json.ts';
import { toMajor, toMinor } from '../model/money.ts';
import type { Catalog } from '../playbook/playbook.ts';
import { FoldFailure } from './failure.ts';
import type { Pair } from './uniteLists.ts';

/** `[productId, quantity, price in minor units, latest event time of what changed it]`; states of before have no time. */
export type CartLine = readonly [productId: string, quantity: number, price: number, at?: number];

/** `[cart.id, lines, event time of the latest order or null]`, as the visitor's state keeps it (semantics 10.2). */
export type CartState = readonly [id: number, lines: readonly CartLine[], orderedAt: number | null];

/** Lines that a cart, or an order, may have. */
export const maxCartLines = 200;
export const maxQuantity = 1_000_000;
export const emptyCart: CartState = [1, [], null];

/** What prices are read with. */
export interface PriceBook {
  readonly catalog: Catalog;
  readonly minorDigits: number;
}

/**
 * Puts a product into the cart. One that is there already gains the quantity, and the newest price holds for the whole line.
 * An add that is not later than the visitor's latest order is left out: it was in that order.
 * @throws FoldFailure PRICE_UNKNOWN without a price here or in the catalog
 */
export function addToCart(cart: CartState, properties: JsonObject, at: number, prices: PriceBook): CartState {
  const productId = productIdOf(properties);
  const added = quantityOf(properties, 1);
  const price = priceOf(properties, productId, prices);
  const [id, lines, orderedAt] = cart;
  if (orderedAt !== null && at <= orderedAt) return cart;
  const index = lines.findIndex((line) => line[0] === productId);
  if (index < 0) {
    if (lines.length >= maxCartLines) {
      throw new FoldFailure('FOLD_ERROR', `the cart has ${lines.length} lines, the most it may have`);
    }
    return [id, [...lines, [productId, added, price, at]], orderedAt];
  }
  const [, before, , changedAt = 0] = lines[index]!;
  const quantity = Math.min(maxQuantity, before + added);
  return [id, lines.with(index, [productId, quantity, price, Math.max(changedAt, at)]), orderedAt];
}

/** Takes a product out: `quantity` of it, or the whole line. What is not there is not taken. Emptying the cart makes the next one. */
export function removeFromCart(cart: CartState, properties: JsonObject, at: number): CartState {
  const productId = productIdOf(properties);
  const removed = quantityOf(properties, Number.POSITIVE_INFINITY);
  const [id, lines, orderedAt] = cart;
  const index = lines.findIndex((line) => line[0] === productId);
  if (index < 0) return cart;
  const [, quantity, price, changedAt = 0] = lines[index]!;
  if (quantity > removed) {
    const left: CartLine = [productId, quantity - removed, price, Math.max(changedAt, at)];
    return [id, lines.with(index, left), orderedAt];
  }
  const left = lines.toSpliced(index, 1);
  return [left.length === 0 ? id + 1 : id, left, orderedAt];
}

/** An order empties the cart, whatever it held. */
export function orderCart(cart: CartState, at: number): CartState {
  const [id, , orderedAt] = cart;
  return [id + 1, [], orderedAt === null ? at : Math.max(orderedAt, at)];
}

const changedAt = ([, , , at = 0]: CartLine) => at;

/**
 * The carts of two visitors that become one (semantics 8.2): by product the line that was changed last, the user's of two as late;
 * what was in an order of either is in neither. As many carts have been as there were of both.
 */
export function unitedCart({ user, other }: Pair<CartState | undefined>): CartState | undefined {
  if (user === undefined || other === undefined) return user ?? other;
  const [userId, own, userOrderedAt] = user;
  const [otherId, others, otherOrderedAt] = other;
  const orderedAt =
    userOrderedAt === null || otherOrderedAt === null
      ? (userOrderedAt ?? otherOrderedAt)
      : Math.max(userOrderedAt, otherOrderedAt);
  const lines = new Map(own.map((line) => [line[0], line]));
  for (const line of others) {
    const known = lines.get(line[0]);
    if (known === undefined || changedAt(line) > changedAt(known)) lines.set(line[0], line);
  }
  const left = [...lines.values()].filter((line) => orderedAt === null || changedAt(line) > orderedAt);
  return [userId + otherId - 1, left.slice(0, maxCartLines), orderedAt];
}

/**
 * The sum of an order's lines in minor units.
 * @throws FoldFailure PRICE_UNKNOWN for a line without a price here or in the catalog
 */
export function orderValue(properties: JsonObject, prices: PriceBook): number {
  const lines = properties['lines'];
  if (!Array.isArray(lines)) throw new FoldFailure('FOLD_ERROR', `lines must be a list; came ${kindOf(lines)}`);
  if (lines.length > maxCartLines) {
    throw new FoldFailure('FOLD_ERROR', `an order has at most ${maxCartLines} lines; came ${lines.length}`);
  }
  let sum = 0;
  for (const line of lines as readonly Json[]) {
    if (line === null || typeof line !== 'object' || Array.isArray(line)) {
      throw new FoldFailure('FOLD_ERROR', `a line must be a map; came ${kindOf(line)}`);
    }
    const properties = line as JsonObject;
    const productId = productIdOf(properties);
    sum += quantityOf(properties, 1) * priceOf(properties, productId, prices);
  }
  if (!Number.isSafeInteger(sum)) throw new FoldFailure('FOLD_ERROR', 'the order is too large to count exactly');
  return sum;
}

export function cartValue(lines: readonly CartLine[]): number {
  let sum = 0;
  for (const line of lines) sum += line[1] * line[2];
  return sum;
}

/** As conditions and people read it: money in major units. */
export interface CartView {
  readonly id: number;
  readonly value: number;
  readonly lines: readonly { readonly productId: string; readonly quantity: number; readonly price: number }[];
}
export function cartView([id, lines]: CartState, minorDigits: number): CartView {
  let views: CartView['lines'] | null = null;
  return {
    id,
    value: toMajor(cartValue(lines), minorDigits),
    /** Made when it is read: most conditions ask for the value alone. */
    get lines() {
      views ??= lines.map(([productId, quantity, price]) => ({
        productId,
        quantity,
        price: toMajor(price, minorDigits),
      }));
      return views;
    },
  };
}

function productIdOf(properties: JsonObject): string {
  const id = properties['productId'];
  if (typeof id !== 'string' || id.length === 0 || id.length > 256) {
    throw new FoldFailure('FOLD_ERROR', `productId must be a text of 1 to 256 characters; came ${kindOf(id)}`);
  }
  return id;
}

function quantityOf(properties: JsonObject, absent: number): number {
  const quantity = properties['quantity'];
  if (quantity === undefined || quantity === null) return absent;
  if (typeof quantity !== 'number' || !Number.isInteger(quantity) || quantity < 1 || quantity > maxQuantity) {
    throw new FoldFailure(
      'FOLD_ERROR',
      `quantity must be a whole number from 1 to ${maxQuantity}; came ${kindOf(quantity)}`,
    );
  }
  return quantity;
}

function priceOf(properties: JsonObject, productId: string, { catalog, minorDigits }: PriceBook): number {
  const price = properties['price'];
  if (price === undefined || price === null) {
    const known = catalog.products.get(productId);
    if (known !== undefined) return known.price;
    throw new FoldFailure(
      'PRICE_UNKNOWN',
      `${productId} came without a price, and the catalog ${catalog.version} has none`,
    );
  }
  if (typeof price !== 'number' || price < 0) {
    throw new FoldFailure('FOLD_ERROR', `price must be a number from 0; came ${kindOf(price)}`);
  }
  try {
    return toMinor(price, minorDigits);
  } catch (error) {
    throw new FoldFailure('FOLD_ERROR', (error as RangeError).message);
  }
}

function kindOf(value: Json | undefined): string {
  if (value === undefined) return 'nothing';
  return typeof value === 'number'
    ? String(value)
    : Array.isArray(value)
      ? 'a list'
      : value === null
        ? 'null'
        : `a ${typeof value}`;
}
