import { LRUCache } from 'lru-cache';
import { liveProductsOf } from '../fold/newest.ts';
import type { SlotsView } from '../model/visitor.ts';
import type { Catalog, Product, SlotDefinition } from '../playbook/playbook.ts';
import type { StateStore } from '../state/stateStore.ts';

/** Products that are kept as they were last read, and for how long at most: so old a price may be on a page. */
const kept = { products: 10_000, maxAgeMs: 2_000 } as const;

/**
 * Products as they are now: as they were imported last, else as the catalog has them (semantics 6.2). Several of one answer are one read, and what
 * was read is kept for a moment, so that a page's slots cost the state next to nothing.
 */
export class NewestProducts {
  readonly #store: StateStore;
  readonly #catalog: () => Catalog | null;
  /** `null` in it: not imported. */
  readonly #read = new LRUCache<string, { readonly product: Product | null }>({
    max: kept.products,
    ttl: kept.maxAgeMs,
  });

  constructor(store: StateStore, catalog: () => Catalog | null) {
    this.#store = store;
    this.#catalog = catalog;
  }

  /** What `load` found, or the catalog has. */
  readonly of = (id: string): Product | null =>
    this.#read.get(id)?.product ?? this.#catalog()?.products.get(id) ?? null;

  /** Reads those that the slots show and that were not read lately; null: none, as nearly always. */
  loadFor(view: Pick<SlotsView, 'slots'>, definitions: readonly SlotDefinition[]): Promise<void> | null {
    const ids = definitions.flatMap(({ name }) =>
      (view.slots[name]?.candidates ?? []).flatMap(({ facts }) => liveProductsOf(facts)),
    );
    return this.load(ids);
  }

  load(ids: readonly string[]): Promise<void> | null {
    const missing = [...new Set(ids)].filter((id) => !this.#read.has(id));
    return missing.length === 0 ? null : this.#load(missing);
  }

  async #load(ids: readonly string[]): Promise<void> {
    let texts: readonly (string | null)[];
    try {
      texts = await this.#store.products.read(ids);
    } catch {
      // Better the price of the decision than no answer.
      return;
    }
    texts.forEach((text, i) => {
      this.#read.set(ids[i]!, { product: text === null ? null : (JSON.parse(text) as Product) });
    });
  }

  /** Just imported here: whoever reads on this gateway sees it at once. */
  forget(ids: readonly string[]): void {
    for (const id of ids) this.#read.delete(id);
  }
}
