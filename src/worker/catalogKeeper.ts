import { setTimeout as sleep } from 'node:timers/promises';
import { type ReadPublished, readPublished } from './published.ts';
import type { Publisher } from './publisher.ts';
import { type CatalogSnapshotOptions, makeSnapshot } from './snapshots.ts';

export interface CatalogKeeperOptions extends CatalogSnapshotOptions {
  readonly publisher: Publisher;
  readonly signal: AbortSignal;
  readonly report: (event: CatalogEvent) => void;
}

export type CatalogEvent =
  /** This process made a snapshot. */
  | { readonly what: 'snapshot'; readonly products: number; readonly layers: number; readonly ms: number }
  | { readonly what: 'failing'; readonly error: Error };

/** How often the state is asked whether there is something new, ms: one small read. */
const lookEveryMs = 1_000;

/** Has imported products become snapshots, and the shards of this process run the newest (semantics 6.2). */
export class CatalogKeeper {
  readonly #options: CatalogKeeperOptions;
  #products = 0;
  #madeAt = 0;

  constructor(options: CatalogKeeperOptions) {
    this.#options = options;
  }

  /** For figures: imported products, and when the newest snapshot was made, ms; 0: there is none. */
  get figures(): { readonly products: number; readonly madeAt: number } {
    return { products: this.#products, madeAt: this.#madeAt };
  }

  /** Until the signal aborts. */
  async run(): Promise<void> {
    const { signal, report } = this.#options;
    let isFailing = false;
    while (!signal.aborted) {
      try {
        await this.#look();
        isFailing = false;
      } catch (error) {
        if (signal.aborted) return;
        if (!isFailing) report({ what: 'failing', error: error as Error });
        isFailing = true;
      }
      await sleep(lookEveryMs, undefined, { signal }).catch(() => {});
    }
  }

  async #look(): Promise<void> {
    const { store, publisher, report, now } = this.#options;
    const status = await store.products.status();
    const read = readPublished(status.published);
    const startedAt = now();
    const made = await makeSnapshot(this.#options, read, status);
    if (made !== null)
      report({
        what: 'snapshot',
        products: status.products,
        layers: made.value!.layers.length,
        ms: Math.round(now() - startedAt),
      });
    const { value }: ReadPublished = made ?? read;
    this.#products = status.products;
    this.#madeAt = value?.madeAt ?? 0;
    // A state that lost everything: what the log says was active is put back.
    if (value === null) await publisher.publish();
    else await publisher.follow(value);
  }
}
