import { UsherError } from '../errors.ts';
import type { ProductText } from '../model/products.ts';
import { bundleHash, productsIn } from '../playbook/compile.ts';
import { type Layer, layersIn, layersText } from '../playbook/layers.ts';
import type { ProductState, StateStore } from '../state/stateStore.ts';
import type { BundleHashes } from './activate.ts';

/**
 * What all shards are to run: kept in the state and changed by compare-and-set alone, so that of several workers each change is made by one, and
 * each worker has its own shards follow.
 */
export interface Published {
  /** Hash of the playbook that was published last, and of the catalog in its folder, which lies under what was imported. */
  readonly playbook: string;
  readonly base: string;
  /** The snapshot of the imported products; a later layer wins. */
  readonly layers: readonly Layer[];
  /** Of the products in the layers. */
  readonly revision: number;
  /** When the snapshot was made, ms; 0: there is none yet. */
  readonly madeAt: number;
  /** Who makes the next one, until when at most; null: nobody. */
  readonly making: { readonly by: string; readonly until: number } | null;
}

/** With the text that must still stand when it is replaced. */
export interface ReadPublished {
  readonly text: string | null;
  readonly value: Published | null;
}

export function readPublished(text: string | null): ReadPublished {
  return { text, value: text === null ? null : (JSON.parse(text) as Published) };
}

/** Replaces what was read. null: another was faster. */
export async function replacePublished(
  products: ProductState,
  read: ReadPublished,
  value: Published,
): Promise<ReadPublished | null> {
  const text = JSON.stringify(value);
  return (await products.publish(read.text, text)) ? { text, value } : null;
}

/** The bundles that the shards are to run. Without imported products the catalog is the folder's, as it is. */
export function hashesOfPublished({ playbook, base, layers }: Published): BundleHashes {
  const text = catalogTextOf(base, layers);
  return { playbook, catalog: text === null ? base : bundleHash(text) };
}

/** The text of a catalog that is more than its base; null: it is the base. */
function catalogTextOf(base: string, layers: readonly Layer[]): string | null {
  return layers.length === 0 ? null : layersText([base, ...layers.map(({ hash }) => hash)]);
}

/** Stores the catalog's own text; those of its layers are there. */
export async function storeCatalog(store: StateStore, { base, layers }: Published): Promise<void> {
  const text = catalogTextOf(base, layers);
  if (text !== null) await store.putBundle(bundleHash(text), text);
}

/**
 * The layers that the log says were active, for a state that was emptied: what is imported stands in no log, but its snapshots do, as bundles.
 * Products that nobody has imported since are put back. Gives the revision up to which the layers have them all.
 */
export async function restoreLayers(
  store: StateStore,
  activeCatalog: string | null,
): Promise<Pick<Published, 'layers' | 'revision'>> {
  const text = activeCatalog === null ? null : await store.readBundle(activeCatalog);
  const [, ...hashes] = (text === null ? null : layersIn(text)) ?? [];
  const layers: Layer[] = [];
  const { revision: before } = await store.products.status();
  // The newest first, so that what an older layer says of the same product finds it there.
  for (const hash of hashes.toReversed()) {
    const texts = await readLayer(store, hash);
    const known = await store.products.read(texts.map(({ id }) => id));
    await store.products.put(texts.filter((_, i) => known[i] === null));
    layers.unshift({ hash, products: texts.length });
  }
  // What was imported meanwhile is in no layer.
  return { layers, revision: before === 0 ? (await store.products.status()).revision : 0 };
}

/** Products of a layer, each as its own text. @throws UsherError BUNDLE_MISSING */
export async function readLayer(store: StateStore, hash: string): Promise<readonly ProductText[]> {
  const layer = await store.readBundle(hash);
  if (layer === null) throw new UsherError('BUNDLE_MISSING', `the catalog ${hash} is not stored`);
  // They are canonical already: parsing keeps the order of the keys.
  return productsIn(layer).map((product) => ({ id: product.id, text: JSON.stringify(product) }));
}
