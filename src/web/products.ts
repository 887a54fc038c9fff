import { signal } from '@preact/signals';
import { usher } from './state.ts';

export interface Product {
  readonly id: string;
  readonly name: string;
  readonly category: string;
  readonly brand: string;
  /** Major units. */
  readonly price: number;
  readonly image: string;
  /** null: not told. */
  readonly stock: number | null;
  readonly availability: 'in_stock' | 'out_of_stock' | 'preorder' | 'backorder';
}

/** The playbook's products; null until they came. */
export const products = signal<ReadonlyMap<string, Product> | null>(null);
export const currency = signal('USD');
export const productsMissing = signal(false);

export async function loadProducts(): Promise<void> {
  try {
    const response = await fetch(`${usher.url}/playbook/products.json`);
    const loaded = (await response.json()) as { currency: string; products: Product[] };
    currency.value = loaded.currency;
    products.value = new Map(loaded.products.map((product) => [product.id, product]));
  } catch {
    productsMissing.value = true;
  }
}

export function money(value: number): string {
  return new Intl.NumberFormat(navigator.language, { style: 'currency', currency: currency.value }).format(value);
}

/** What to say beside the price; '': nothing. */
export function availabilityWords({ availability, stock }: Product): string {
  if (availability === 'out_of_stock') return 'Sold out';
  if (availability !== 'in_stock') return availability === 'preorder' ? 'Not out yet' : 'Comes later';
  return stock !== null && stock > 0 && stock <= 5 ? `Only ${stock} left` : '';
}

/** Words of the query, each somewhere in name, brand or category. */
export function search(query: string): readonly Product[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return [...(products.value?.values() ?? [])].filter((product) => {
    const text = `${product.name} ${product.brand} ${product.category}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}
