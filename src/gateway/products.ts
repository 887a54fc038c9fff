import { viewOf } from '../decide/enrich.ts';
import type { Services } from './services.ts';

/** Products that the start page's shop sells at most: it is for trying things out, and loads them all. */
const shown = 500;

/** GET /playbook/products.json: what the start page's shop sells, as it is now. Prices in major units, as events carry them. */
export async function productsAnswer({
  playbook,
  catalog,
  products,
}: Pick<Services, 'playbook' | 'catalog' | 'products'>) {
  const { currency, minorDigits } = playbook();
  const known = catalog()?.products ?? new Map();
  const ids = [...known.keys()].slice(0, shown);
  await products.load(ids);
  return {
    currency,
    of: known.size,
    products: ids.flatMap((id) => {
      const product = products.of(id);
      return product === null ? [] : [viewOf(product, minorDigits)];
    }),
  };
}
