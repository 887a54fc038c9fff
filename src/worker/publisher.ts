import { setTimeout as sleep } from 'node:timers/promises';
import type { EventLog } from '../log/eventLog.ts';
import type { ShardMeta } from '../model/shardMeta.ts';
import type { Bundles } from '../playbook/bundles.ts';
import { layersIn } from '../playbook/layers.ts';
import type { Catalog, Playbook } from '../playbook/playbook.ts';
import { isRight, type Problem, type RightPlaybook, readPlaybook } from '../playbook/read.ts';
import type { StateStore } from '../state/stateStore.ts';
import { appendActivations, type BundleHashes, hashesOf, isActive, shardsBehind } from './activate.ts';
import {
  hashesOfPublished,
  type Published,
  readPublished,
  replacePublished,
  restoreLayers,
  storeCatalog,
} from './published.ts';
import type { Worker } from './worker.ts';

export interface PublisherOptions {
  readonly folder: string;
  readonly log: EventLog;
  readonly store: StateStore;
  readonly worker: Worker;
  readonly bundles: Bundles;
  /** Ends what still waits. */
  readonly signal: AbortSignal;
  readonly report: (event: PublishEvent) => void;
}

export type PublishEvent =
  /** Requests from now on are checked by this one; the shards follow. */
  | { readonly what: 'changed'; readonly playbook: Playbook }
  /** The shards of this process run it; `activated` of all shards were told to. */
  | { readonly what: 'published'; readonly playbook: Playbook; readonly activated: number }
  | { readonly what: 'broken'; readonly problems: readonly Problem[] }
  | { readonly what: 'retrying'; readonly error: Error };

/** Between two attempts, doubled up to the most. */
const retryMs = { first: 200, most: 5_000 };
/** How often, and for how long, it is looked whether an emptied state is folded again. */
const foldedAgainMs = { look: 100, most: 30_000 };

/**
 * Has all shards run the playbook of a folder: at the start, and whenever it changes. Between that it has this process's shards follow what is
 * published, whoever published it: a snapshot of the imported products is a change of that, too.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  #current: RightPlaybook;
  #catalog: Catalog;
  /** Publishing and following take turns, so that neither sends what the other has on its way. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(first: RightPlaybook, options: PublisherOptions) {
    this.#options = options;
    this.#current = first;
    this.#catalog = first.catalog;
  }

  /** The newest that was right, whether the shards run it yet or not. */
  get playbook(): Playbook {
    return this.#current.playbook;
  }
  /** That of the shards of this process, the imported products included. */
  get catalog(): Catalog {
    return this.#catalog;
  }

  /**
   * Resolves when the shards that this process has run the newest one. Tries until it succeeds: without an active playbook events
   * decide nothing.
   */
  publish(): Promise<void> {
    return this.#inTurn(() => this.#publish());
  }

  async #publish(): Promise<void> {
    const { signal, report, worker, log } = this.#options;
    for (let failures = 0; ; failures++) {
      try {
        // What is already on its way is not sent again.
        await worker.caughtUp(signal);
        const { playbook } = this;
        const wanted = hashesOfPublished(await this.#announce());
        const behind = await shardsBehind(this.#options, wanted);
        if (behind.length > 0) await appendActivations(log, wanted, behind);
        await worker.caughtUp(signal);
        await this.#take(wanted);
        report({ what: 'published', playbook, activated: behind.length });
        return;
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        report({ what: 'retrying', error: error as Error });
        await sleep(Math.min(retryMs.most, retryMs.first * 2 ** failures), undefined, { signal });
      }
    }
  }

  /** Has the shards of this process run what is published, if they do not. */
  follow(published: Published): Promise<void> {
    return this.#inTurn(async () => {
      const { worker, log, store, signal } = this.#options;
      let wanted = hashesOfPublished(published);
      if (this.#behind(wanted).length > 0) {
        await worker.caughtUp(signal);
        // What this process published while it waited for its turn is newer.
        wanted = hashesOfPublished(readPublished((await store.products.status()).published).value ?? published);
        const behind = this.#behind(wanted);
        await appendActivations(log, wanted, behind);
        await worker.caughtUp(signal);
      }
      await this.#take(wanted);
    });
  }

  #behind(wanted: BundleHashes): readonly number[] {
    return [...this.#options.worker.states()].flatMap(([shard, { meta, stopped }]) =>
      meta === null || meta.rebuilding || stopped !== null || isActive(meta.active, wanted) ? [] : [shard],
    );
  }

  async #take({ catalog }: BundleHashes): Promise<void> {
    if (this.#catalog.version !== catalog) this.#catalog = await this.#options.bundles.loadCatalog(catalog);
  }

  /** Says in the state that this folder's playbook is to run, over whatever products were imported. */
  async #announce(): Promise<Published> {
    const { store } = this.#options;
    const { playbook, catalog: base } = hashesOf(this.#current);
    await store.putBundle(playbook, this.#current.playbookText);
    await store.putBundle(base, this.#current.catalogText);
    for (;;) {
      const read = readPublished((await store.products.status()).published);
      if (read.value?.playbook === playbook && read.value.base === base) return read.value;
      const next = { ...(read.value ?? (await this.#unpublished())), playbook, base };
      await storeCatalog(store, next);
      if ((await replacePublished(store.products, read, next)) !== null) return next;
    }
  }

  /**
   * What lies under a playbook where nothing is published: nothing, at the first start of all. In a state that was emptied it is what the logs
   * say was active; a snapshot may have come to some of the shards only, so all are asked, by then folded again by whoever has them.
   */
  async #unpublished(): Promise<Omit<Published, 'playbook' | 'base'>> {
    const { store } = this.#options;
    const catalogs = new Set((await this.#foldedAgain()).flatMap((meta) => meta?.active?.catalog ?? []));
    let fullest: string | null = null;
    let most = -1;
    for (const catalog of catalogs) {
      const layers = layersIn((await store.readBundle(catalog)) ?? '')?.length ?? 0;
      if (layers > most) [fullest, most] = [catalog, layers];
    }
    return { ...(await restoreLayers(store, fullest)), madeAt: 0, making: null };
  }

  /** Of all shards, when they are as far as their logs go now; one that nobody serves is not waited for without end. */
  async #foldedAgain(): Promise<readonly (ShardMeta | null)[]> {
    const { store, log, signal } = this.#options;
    const shards = Array.from({ length: log.shards }, (_, shard) => shard);
    const ends = await Promise.all(shards.map(async (shard) => (await log.bounds(shard)).end));
    for (let waitedMs = 0; ; waitedMs += foldedAgainMs.look) {
      const metas = await Promise.all(shards.map((shard) => store.readMeta(shard)));
      const isBehind = metas.some((meta, shard) => meta?.rebuilding || (meta?.position ?? 0) < ends[shard]!);
      if (!isBehind || waitedMs >= foldedAgainMs.most) return metas;
      await sleep(foldedAgainMs.look, undefined, { signal });
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }

  /** Reads the folder again. A broken playbook is reported, and the last good one stays. */
  async reload(): Promise<readonly Problem[]> {
    const { folder, report } = this.#options;
    const read = await readPlaybook(folder);
    if (!isRight(read)) {
      report({ what: 'broken', problems: read.problems });
      return read.problems;
    }
    const { playbook, catalog } = this.#current;
    if (read.playbook.version === playbook.version && read.catalog.version === catalog.version) return read.problems;
    this.#current = read;
    report({ what: 'changed', playbook: read.playbook });
    await this.publish();
    return read.problems;
  }
}
