import { setTimeout as sleep } from 'node:timers/promises';
import type { Bundles } from '../playbook/bundles.ts';
import type { Catalog, Playbook } from '../playbook/playbook.ts';
import type { StateStore } from '../state/stateStore.ts';

/** How often the active playbook is asked for. Until a gateway has it, it answers by the one before, which loses nothing. */
const followEveryMs = 2_000;

/**
 * The playbook that the workers published, for a gateway that has none of its own: so all gateways check and present by what
 * the fold runs, and a new playbook is rolled out to the workers alone.
 */
export class FollowedPlaybook {
  readonly #store: StateStore;
  readonly #bundles: Bundles;
  #active: { readonly playbook: Playbook; readonly catalog: Catalog };
  #timer: NodeJS.Timeout | null = null;

  /**
   * Waits until a worker has published one.
   * @param waiting called at each look that finds none
   */
  static async first(
    store: StateStore,
    bundles: Bundles,
    signal: AbortSignal,
    waiting: () => void,
  ): Promise<FollowedPlaybook> {
    for (;;) {
      const active = await readActive(store, bundles);
      if (active !== null) return new FollowedPlaybook(store, bundles, active);
      waiting();
      await sleep(followEveryMs, undefined, { signal });
    }
  }

  private constructor(store: StateStore, bundles: Bundles, active: { playbook: Playbook; catalog: Catalog }) {
    this.#store = store;
    this.#bundles = bundles;
    this.#active = active;
  }

  get playbook(): Playbook {
    return this.#active.playbook;
  }
  get catalog(): Catalog {
    return this.#active.catalog;
  }

  /** @param failed told of a look that failed; the next one comes all the same */
  follow(changed: (playbook: Playbook) => void, failed: (error: Error) => void): void {
    this.#timer = setInterval(() => {
      this.#look(changed).catch(failed);
    }, followEveryMs).unref();
  }

  async #look(changed: (playbook: Playbook) => void): Promise<void> {
    const active = await readActive(this.#store, this.#bundles);
    if (active === null) return;
    const isNew = active.playbook.version !== this.#active.playbook.version;
    this.#active = active;
    if (isNew) changed(active.playbook);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }
}

/** All shards are switched together, so one tells. */
async function readActive(
  store: StateStore,
  bundles: Bundles,
): Promise<{ playbook: Playbook; catalog: Catalog } | null> {
  const active = (await store.readMeta(0))?.active ?? null;
  return active === null ? null : bundles.load(active.playbook, active.catalog);
}
