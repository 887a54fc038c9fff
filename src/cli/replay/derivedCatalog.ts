import { stringify } from 'yaml';
import type { ProductFacts } from './row.ts';

/** Products as a log's rows tell them, each with the newest price; written as a file of a playbook (`catalog:`). */
export class DerivedCatalog {
  readonly #products = new Map<string, ProductFacts>();

  add(product: ProductFacts): void {
    const known = this.#products.get(product.id);
    // A row may leave out what an earlier one told.
    this.#products.set(product.id, {
      ...product,
      category: product.category || known?.category || '',
      brand: product.brand || known?.brand || '',
    });
  }

  get size(): number {
    return this.#products.size;
  }

  toYaml(): string {
    const products = [...this.#products.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    return stringify({
      catalog: Object.fromEntries(
        products.map(({ id, category, brand, price }) => [
          id,
          {
            name: nameOf(id, category, brand),
            ...(category === '' ? {} : { category }),
            ...(brand === '' ? {} : { brand }),
            price,
          },
        ]),
      ),
    });
  }
}

/** `Aqua water heater 3900821`: logs have no product names. */
function nameOf(id: string, category: string, brand: string): string {
  const kind = (category.split('.').at(-1) || 'product').replaceAll('_', ' ');
  return [brand, kind, id]
    .filter(Boolean)
    .join(' ')
    .replace(/^./, (letter) => letter.toUpperCase());
}
