import { setImmediate as nextTurn } from 'node:timers/promises';
import { bundleHash } from '../playbook/compile.ts';
import { isWorn, type Layer, layerProducts, layerText, mergedLayers } from '../playbook/layers.ts';
import type { StateStore } from '../state/stateStore.ts';
import { type ReadPublished, readLayer, replacePublished, storeCatalog } from './published.ts';

export interface CatalogSnapshotOptions {
  readonly store: StateStore;
  /** Names this process among the workers. */
  readonly by: string;
  /** Snapshots are at least so far apart, ms (semantics 6.2). */
  readonly everyMs: number;
  readonly now: () => number;
}

/** Who began a snapshot and has not ended it after this long has died, ms. */
const makingMs = 30_000;

/**
 * Makes a snapshot of the imported products if there is something new and the last one is old enough. One process at a time: it says in the state
 * that it does, by compare-and-set. Products are read and written by the layer, so that nothing that runs beside it waits for more than one.
 * null: nothing was to be done, or another does it.
 */
export async function makeSnapshot(
  options: CatalogSnapshotOptions,
  read: ReadPublished,
  status: { readonly products: number; readonly revision: number },
): Promise<ReadPublished | null> {
  const { store, by, everyMs } = options;
  const { value } = read;
  const now = options.now();
  if (value === null || status.revision <= value.revision) return null;
  // A clock that was set back does not hold snapshots up.
  if (now >= value.madeAt && now < value.madeAt + everyMs) return null;
  if (value.making !== null && value.making.by !== by && now < value.making.until) return null;
  const claimed = await replacePublished(store.products, read, { ...value, making: { by, until: now + makingMs } });
  if (claimed === null) return null;
  const isAnew = isWorn(value.layers, status.products);
  const { layers, revision } = await layersUpTo(store, isAnew ? { layers: [], revision: 0 } : value, status.revision);
  const next = { ...value, layers, revision, madeAt: options.now(), making: null };
  await storeCatalog(store, next);
  return replacePublished(store.products, claimed, next);
}

/** The layers with all products that changed up to a revision; later changes are the next snapshot's. */
async function layersUpTo(
  store: StateStore,
  from: { readonly layers: readonly Layer[]; readonly revision: number },
  upTo: number,
): Promise<{ layers: readonly Layer[]; revision: number }> {
  let { layers, revision } = from;
  while (revision < upTo) {
    const changed = await store.products.readChanged(revision, layerProducts);
    const last = changed.at(-1);
    if (last === undefined) break;
    layers = await withLayer(store, layers, new Map(changed.map(({ id, text }) => [id, text])));
    revision = last.revision;
    await nextTurn();
  }
  return { layers, revision };
}

/** The layers with one more on top, in which the newest of them may be contained. */
async function withLayer(
  store: StateStore,
  layers: readonly Layer[],
  changed: ReadonlyMap<string, string>,
): Promise<readonly Layer[]> {
  const kept = layers.length - mergedLayers(layers, changed.size);
  const products = new Map<string, string>();
  for (const { hash } of layers.slice(kept)) {
    for (const { id, text } of await readLayer(store, hash)) products.set(id, text);
  }
  for (const [id, text] of changed) products.set(id, text);
  const text = layerText(products.values());
  const hash = bundleHash(text);
  await store.putBundle(hash, text);
  return [...layers.slice(0, kept), { hash, products: products.size }];
}
