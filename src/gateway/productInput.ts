import { canonicalJson } from '../model/json.ts';
import { toMinor } from '../model/money.ts';
import type { ProductChange, ProductText } from '../model/products.ts';
import { availabilities, type Playbook, type Product } from '../playbook/playbook.ts';
import type { ProductState } from '../state/stateStore.ts';
import { limits } from './limits.ts';
import { type UserError, userError } from './userError.ts';

/** A product as a caller tells it: whole, because what is left out is empty. */
export interface ProductInput {
  readonly id: string;
  readonly name: string;
  /** Major units. */
  readonly price: number;
  readonly currency?: string | null | undefined;
  readonly category?: string | null | undefined;
  readonly brand?: string | null | undefined;
  readonly image?: string | null | undefined;
  readonly url?: string | null | undefined;
  readonly stock?: number | null | undefined;
  readonly availability?: string | null | undefined;
}

export interface ProductOutcome {
  readonly id: string;
  readonly status: ProductChange | 'REFUSED';
  readonly error: UserError | null;
}

const texts = ['name', 'category', 'brand', 'image', 'url'] as const;
const controls = /\p{Cc}/u;

/** Writes the products that are right; each has its own outcome. Writing the same again changes nothing. Rejects with STATE_UNAVAILABLE. */
export async function putProducts(
  inputs: readonly ProductInput[],
  playbook: Playbook,
  state: ProductState,
): Promise<readonly ProductOutcome[]> {
  const checked = inputs.map((input) => checkProduct(input, playbook));
  const right = await withRoom(checked, state);
  const changes = right.length === 0 ? [] : await state.put(right);
  const changeOf = new Map(right.map((product, i) => [product, changes[i]!]));
  return checked.map((product, i): ProductOutcome => {
    const { id } = inputs[i]!;
    if ('code' in product) return { id, status: 'REFUSED', error: product };
    const status = changeOf.get(product);
    return status === undefined ? { id, status: 'REFUSED', error: full } : { id, status, error: null };
  });
}

const full: UserError = userError('CATALOG_FULL', `${limits.products} products are there; expected at most so many`);

/** When the catalog is nearly full, only products that are there already are sure to have room. */
async function withRoom(
  checked: readonly (ProductText | UserError)[],
  state: ProductState,
): Promise<readonly ProductText[]> {
  const right = checked.filter((product): product is ProductText => !('code' in product));
  const { products } = await state.status();
  if (products + right.length <= limits.products) return right;
  const known = await state.read(right.map(({ id }) => id));
  let room = Math.max(0, limits.products - products);
  return right.filter((_, i) => known[i] !== null || room-- > 0);
}

function checkProduct(input: ProductInput, playbook: Playbook): ProductText | UserError {
  const wrong = problemOf(input, playbook);
  if (wrong !== null) return wrong;
  const { id, name, category, brand, image, url, stock, availability } = input;
  const product: Product = {
    id,
    name,
    category: category ?? '',
    brand: brand ?? '',
    price: toMinor(input.price, playbook.minorDigits),
    image: image ?? '',
    url: url ?? '',
    ...(stock == null ? {} : { stock }),
    ...(availability == null ? {} : { availability: availability as NonNullable<Product['availability']> }),
  };
  return { id, text: canonicalJson(product) };
}

function problemOf(input: ProductInput, { currency }: Playbook): UserError | null {
  const { id, price, stock, availability } = input;
  if (id === '' || id.length > limits.productIdChars || controls.test(id) || !id.isWellFormed())
    return refused('id', `1 to ${limits.productIdChars} characters without control characters`, id);
  if (input.name.trim() === '') return refused('name', 'a name', input.name);
  for (const field of texts) {
    const text = input[field] ?? '';
    if (text.length > limits.productTextChars || !text.isWellFormed())
      return refused(field, `at most ${limits.productTextChars} characters`, text);
  }
  if (!(price >= 0 && price <= limits.productPrice)) return refused('price', `0 to ${limits.productPrice}`, price);
  if (input.currency != null && input.currency !== currency)
    return refused('currency', `${currency}, the playbook’s`, input.currency);
  if (stock != null && stock < 0) return refused('stock', 'a whole number from 0', stock);
  if (availability != null && !(availabilities as readonly string[]).includes(availability))
    return refused('availability', availabilities.join(', '), availability);
  return null;
}

function refused(field: string, expected: string, came: unknown): UserError {
  return userError('PRODUCT_INVALID', `${field}: expected ${expected}, came ${JSON.stringify(came).slice(0, 80)}`, {
    path: [field],
  });
}
