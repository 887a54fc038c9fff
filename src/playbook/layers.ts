import { canonicalJson } from '../model/json.ts';

/**
 * A catalog too large for one text is a list of layers, each the text of a catalog of its own: a product is what the last layer that has it
 * says. So a new snapshot of 50,000 products writes what changed, and a process loads what it does not have (semantics 6.2).
 */
export interface Layer {
  /** Of its text, a bundle. */
  readonly hash: string;
  readonly products: number;
}

/** A larger change is several layers: reading and compiling one takes about a millisecond. */
export const layerProducts = 500;

const head = '{"layers":[';

/** A catalog's text that names its layers, the first at the bottom. */
export function layersText(hashes: readonly string[]): string {
  return canonicalJson({ layers: hashes });
}

/** Hashes of the layers; null: the text is a catalog with its products in it. */
export function layersIn(catalogText: string): readonly string[] | null {
  return catalogText.startsWith(head) ? (JSON.parse(catalogText) as { layers: readonly string[] }).layers : null;
}

/** The text of a layer, from the products' own texts (canonical JSON). */
export function layerText(products: Iterable<string>): string {
  return `{"products":[${[...products].join(',')}]}`;
}

/**
 * Which of the newest layers become one with a change of so many products: those that are smaller than twice what comes above them, as far as one
 * layer holds it. So a change is written again at most about nine times, and most layers are large.
 */
export function mergedLayers(layers: readonly Layer[], changed: number): number {
  let size = changed;
  let merged = 0;
  for (const { products } of layers.toReversed()) {
    if (products >= 2 * size || products + size > layerProducts) break;
    size += products;
    merged++;
  }
  return merged;
}

/** Whether so much of the layers is out of date that all products are better written anew. */
export function isWorn(layers: readonly Layer[], products: number): boolean {
  return layers.reduce((sum, layer) => sum + layer.products, 0) > 2 * products + layerProducts;
}
