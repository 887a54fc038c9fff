import { toMajor } from '../model/money.ts';
import type { Catalog, Playbook } from '../playbook/playbook.ts';

/** GET /playbook/products.json: what the start page's shop sells. Prices in major units, as events carry them. */
export function productsAnswer(playbook: Playbook, catalog: Catalog) {
  const products = [...catalog.products.values()].map(({ id, name, category, brand, price, image }) => ({
    id,
    name,
    category,
    brand,
    price: toMajor(price, playbook.minorDigits),
    image,
  }));
  return { currency: playbook.currency, products };
}
