import { availabilities } from '../../playbook/playbook.ts';

/** A row of a feed: what it says, by its own names; or why it is none. `line` is where it begins. */
export type FeedRow =
  | { readonly line: number; readonly fields: ReadonlyMap<string, string> }
  | { readonly line: number; readonly message: string };

/** A feed's format: its bytes in, its rows out, one at a time. */
export type ReadFeed = (chunks: AsyncIterable<Uint8Array>) => AsyncGenerator<FeedRow, void>;

/** Longer rows, and texts of one, are refused: memory is bounded by the row. */
export const rowChars = 64_000;

/** ProductInput of the schema. */
export interface FeedProduct {
  readonly id: string;
  readonly name: string;
  readonly price: number;
  readonly [field: string]: string | number;
}

/** A product's fields, each with the names under which feeds tell it, the first that is there first. */
const names = {
  id: ['id'],
  name: ['name', 'title'],
  price: ['price'],
  sale: ['sale_price'],
  saleDates: ['sale_price_effective_date'],
  availability: ['availability'],
  stock: ['stock', 'quantity', 'inventory', 'sell_on_google_quantity'],
  category: ['category', 'product_type', 'google_product_category'],
  brand: ['brand'],
  image: ['image', 'image_link'],
  url: ['url', 'link'],
} as const;
type Field = keyof typeof names;
const used: ReadonlySet<string> = new Set(Object.values(names).flat());

/** `g:Image Link` → `image_link`: feeds write their names in several ways. */
export function fieldName(written: string): string {
  return written
    .trim()
    .toLowerCase()
    .replace(/^g:/, '')
    .replaceAll(/[\s-]+/g, '_');
}

/** Fields that no product has. */
export function passedOver(fields: ReadonlyMap<string, string>): readonly string[] {
  return [...fields.keys()].filter((name) => !used.has(name));
}

/** The product of a row, or why it is none. @param now what a sale's dates are compared with, ms */
export function productOf(fields: ReadonlyMap<string, string>, now: number): FeedProduct | string {
  const of = (field: Field): string => {
    const name = names[field].find((each) => fields.get(each)?.trim());
    return name === undefined ? '' : fields.get(name)!.trim();
  };
  const id = of('id');
  const name = of('name');
  if (id === '') return 'there is no id';
  if (name === '') return `${id}: there is no name or title`;
  const price = priceOf(of('price'));
  if (typeof price === 'string') return `${id}: price: ${price}`;
  const sale = saleOf(of('sale'), of('saleDates'), now);
  if (typeof sale === 'string') return `${id}: ${sale}`;
  const stock = of('stock');
  if (!/^\d{0,9}$/.test(stock)) return `${id}: stock is ${shown(stock)}; expected a whole number`;
  const availability = availabilityOf(of('availability'));
  if (availability === null)
    return `${id}: availability is ${shown(of('availability'))}; expected one of ${availabilities.join(', ')}`;
  return {
    id,
    name,
    ...(sale ?? price),
    ...(stock === '' ? {} : { stock: Number(stock) }),
    ...(availability === '' ? {} : { availability }),
    ...Object.fromEntries(
      (['category', 'brand', 'image', 'url'] as const).flatMap((each) => (of(each) === '' ? [] : [[each, of(each)]])),
    ),
  };
}

interface Price {
  readonly price: number;
  readonly currency?: string;
}

/** `12.99`, `12.99 EUR`, `EUR 12.99`; else what is wrong. */
function priceOf(text: string): Price | string {
  const match = /^(?:([A-Z]{3})\s*)?(\d+(?:\.\d+)?)(?:\s*([A-Z]{3}))?$/.exec(text);
  if (match === null)
    return text === '' ? 'there is none' : `${shown(text)}; expected a number such as 1299.90, or 1299.90 EUR`;
  const currency = match[1] ?? match[3];
  return { price: Number(match[2]), ...(currency !== undefined && { currency }) };
}

/** The price of a sale that is on now; null: there is none. */
function saleOf(text: string, dates: string, now: number): Price | null | string {
  if (text === '') return null;
  const sale = priceOf(text);
  if (typeof sale === 'string') return `sale_price: ${sale}`;
  if (dates === '') return sale;
  const [from, to] = dates.split('/').map((date) => Date.parse(date.trim()));
  if (from === undefined || to === undefined || Number.isNaN(from) || Number.isNaN(to))
    return `sale_price_effective_date is ${shown(dates)}; expected two times with a / between`;
  return from <= now && now < to ? sale : null;
}

/** `in stock`, `in_stock` and `https://schema.org/InStock` are one. '': not told. null: another word. */
function availabilityOf(text: string): string | null {
  const word = text
    .replace(/^https?:\/\/schema\.org\//, '')
    .replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_')
    .toLowerCase()
    .replaceAll(/[\s-]+/g, '_')
    .replace(/^(pre|back)_order$/, '$1order');
  return word === '' || (availabilities as readonly string[]).includes(word) ? word : null;
}

export function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}…` : text);
}
