import { canonicalJson } from '../model/json.ts';
import { toMinor } from '../model/money.ts';
import type { RawProduct } from './format.ts';
import type { Product } from './playbook.ts';
import type { Report } from './problem.ts';
import type { Named } from './shape.ts';

/** The products as the bundle's text: canonical JSON, prices in minor units. Two files must not declare the same product. */
export function catalogText(products: readonly Named<RawProduct>[], minorDigits: number, report: Report): string {
  const byId = new Map<string, Product>();
  const first = new Map<string, Named<RawProduct>>();
  for (const named of products) {
    const { id, span, value } = named;
    const before = first.get(id);
    if (before !== undefined) {
      const { line } = before.span.file.position(before.span.start);
      report.error(span, `the product ${id} is declared twice; the other place is ${before.span.file.path}:${line}`, {
        expected: 'each product once',
      });
      continue;
    }
    first.set(id, named);
    byId.set(id, {
      id,
      name: value.name.value,
      category: value.category?.value ?? '',
      brand: value.brand?.value ?? '',
      price: toMinor(value.price.value, minorDigits),
      image: value.image?.value ?? '',
      url: value.url?.value ?? '',
      ...(value.stock && { stock: value.stock.value }),
      ...(value.availability && { availability: value.availability.value }),
    });
  }
  const sorted = [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  return canonicalJson({ products: sorted });
}
