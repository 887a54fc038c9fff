import { UsherError } from '../../errors.ts';
import type { JsonObject } from '../../model/json.ts';
import { csvFields } from './csv.ts';
import type { ParsedRow, RowFormat } from './row.ts';

/** The columns of the REES46 "eCommerce behavior data" files that an event is made of. */
const columns = ['event_time', 'event_type', 'product_id', 'category_code', 'brand', 'price', 'user_id'] as const;
type Column = (typeof columns)[number];

/** `view` → product_viewed, `cart` → cart_item_added, `purchase` → order_completed of one line. */
export const rees46: RowFormat = {
  name: 'rees46',
  header: true,
  rowsInLine: 'one',
  open(header, file) {
    const names = csvFields(header.trim()) ?? [];
    const index = Object.fromEntries(columns.map((column) => [column, names.indexOf(column)])) as Record<
      Column,
      number
    >;
    const missing = columns.filter((column) => index[column] < 0);
    if (missing.length > 0) {
      throw new UsherError(
        'COMMAND_FAILED',
        `the file's first line has no column ${missing.join(', ')}; a rees46 file begins with event_time,event_type,product_id,…`,
      );
    }
    return (line, number) => {
      const fields = csvFields(line);
      if (fields === null || fields.length !== names.length) {
        return {
          message: `expected ${names.length} fields, got ${fields === null ? 'a quote that is not closed' : fields.length}`,
        };
      }
      return parse((column) => fields[index[column]]!, `${file.hash.slice(0, 8)}-${number}`);
    };
  },
};

function parse(field: (column: Column) => string, orderId: string): ParsedRow {
  const at = instantOf(field('event_time'));
  if (at === null)
    return { message: `event_time is ${field('event_time')}; expected one like 2019-10-01 00:00:00 UTC` };
  const userId = field('user_id');
  const productId = field('product_id');
  if (userId === '' || productId === '') return { message: 'user_id or product_id is empty' };
  const price = Number(field('price'));
  if (field('price') === '' || !Number.isFinite(price))
    return { message: `price is ${field('price')}; expected a number` };
  const what = eventOf(field('event_type'), productId, price, orderId);
  if (what === null) return { message: `event_type is ${field('event_type')}; expected view, cart or purchase` };
  return {
    visitor: `u:${userId}`,
    at,
    event: { ...what, occurredAt: new Date(at).toISOString(), visitor: { userId } },
    products: [{ id: productId, category: field('category_code'), brand: field('brand'), price }],
  };
}

function eventOf(
  type: string,
  productId: string,
  price: number,
  orderId: string,
): { type: string; properties: JsonObject } | null {
  switch (type) {
    case 'view':
      return { type: 'product_viewed', properties: { productId } };
    case 'cart':
      return { type: 'cart_item_added', properties: { productId, quantity: 1, price } };
    case 'purchase':
      return { type: 'order_completed', properties: { orderId, lines: [{ productId, quantity: 1, price }] } };
    default:
      return null;
  }
}

function instantOf(text: string): number | null {
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC$/.exec(text);
  const at = match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]}Z`);
  return Number.isNaN(at) ? null : at;
}
