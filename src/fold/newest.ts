import { viewOf } from '../decide/enrich.ts';
import type { Candidate, Fact } from '../model/visitor.ts';
import { liveProductOf } from '../playbook/captures.ts';
import type { Product } from '../playbook/playbook.ts';

/** A product as it is now; null: as far as is known, it is what it was. */
export type NewestProduct = (id: string) => Product | null;

/** The products of which the facts hold what a page shows as it is now. */
export function liveProductsOf(facts: Candidate['facts']): readonly string[] {
  return facts.flatMap(([name]) => {
    const product = liveProductOf(name);
    const id = product === null ? null : idOf(product, facts);
    return id === null ? [] : [id];
  });
}

/**
 * Captured facts as a page shows them: price, stock, availability and image of a product are the newest (semantics 6.2). What was decided from them
 * stays as it was captured.
 */
export function withNewest(facts: Candidate['facts'], newest: NewestProduct, minorDigits: number): Candidate['facts'] {
  if (!facts.some(([name]) => liveProductOf(name) !== null)) return facts;
  return facts.map((fact): Fact => {
    const [name] = fact;
    const product = liveProductOf(name);
    const id = product === null ? null : idOf(product, facts);
    const now = id === null ? null : newest(id);
    return now === null ? fact : [name, viewOf(now, minorDigits)[name.slice(product!.length + 1)] ?? null];
  });
}

function idOf(product: string, facts: Candidate['facts']): string | null {
  const id = facts.find(([name]) => name === `${product}.id`)?.[1];
  return typeof id === 'string' ? id : null;
}
