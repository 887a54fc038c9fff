import { setImmediate as nextTurn } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { UsherError } from '../errors.ts';
import { bundleHash, compilePlaybook, productsIn } from './compile.ts';
import { layersIn } from './layers.ts';
import type { ActiveBundles, Catalog, Playbook, Product } from './playbook.ts';

/** Playbooks, and catalogs, that are kept compiled. A slot names the playbook it was decided under, so old ones are read too. */
export const bundleLimits = { playbooks: 16, catalogs: 8, layers: 1_000 } as const;

/** Stored bundles, compiled on demand. Content is named by hash, so what was loaded once never changes. */
export class Bundles {
  readonly #read: (hash: string) => Promise<string | null>;
  readonly #playbooks = new LRUCache<string, Playbook>({ max: bundleLimits.playbooks });
  readonly #catalogs = new LRUCache<string, Catalog>({ max: bundleLimits.catalogs });
  /** Snapshots share most of their layers, and so their products. */
  readonly #layers = new LRUCache<string, readonly Product[]>({ max: bundleLimits.layers });
  /** All shards of a process come to a new catalog at about the same time. */
  readonly #loading = new Map<string, Promise<Catalog>>();

  /** @param read the stored text of a hash; null: not stored */
  constructor(read: (hash: string) => Promise<string | null>) {
    this.#read = read;
  }

  /** @throws UsherError BUNDLE_MISSING when one is not stored, or its text is not what its hash names */
  async load(playbook: string, catalog: string): Promise<ActiveBundles> {
    return { playbook: await this.loadPlaybook(playbook), catalog: await this.loadCatalog(catalog) };
  }

  /** The two, if they were loaded. */
  get(playbook: string, catalog: string): ActiveBundles | null {
    const compiled = this.#playbooks.get(playbook);
    const products = this.#catalogs.get(catalog);
    return compiled === undefined || products === undefined ? null : { playbook: compiled, catalog: products };
  }

  /** The playbook, if it was loaded. */
  playbook(hash: string): Playbook | null {
    return this.#playbooks.get(hash) ?? null;
  }

  /** @throws UsherError BUNDLE_MISSING, also when this version of Usher cannot run it */
  async loadPlaybook(hash: string): Promise<Playbook> {
    const known = this.#playbooks.get(hash);
    if (known !== undefined) return known;
    const { playbook, problems } = compilePlaybook(await this.#text(hash, 'playbook'));
    if (playbook === null) {
      const first = problems.find(({ severity }) => severity === 'error');
      throw new UsherError(
        'BUNDLE_MISSING',
        `the stored playbook ${hash} does not compile here: ${first?.file}:${first?.line}: ${first?.message}`,
      );
    }
    this.#playbooks.set(hash, playbook);
    return playbook;
  }

  /** @throws UsherError BUNDLE_MISSING */
  async loadCatalog(hash: string): Promise<Catalog> {
    const known = this.#catalogs.get(hash);
    if (known !== undefined) return known;
    let loading = this.#loading.get(hash);
    if (loading === undefined) {
      loading = this.#readCatalog(hash).finally(() => this.#loading.delete(hash));
      this.#loading.set(hash, loading);
    }
    return loading;
  }

  /** Layer by layer, each in a turn of its own: whoever reads slots in this process meanwhile waits for one layer at most. */
  async #readCatalog(hash: string): Promise<Catalog> {
    const text = await this.#text(hash, 'catalog');
    const products = new Map<string, Product>();
    const layers = layersIn(text);
    if (layers === null) for (const product of productsIn(text)) products.set(product.id, product);
    for (const layer of layers ?? []) {
      for (const product of await this.#readLayer(layer)) products.set(product.id, product);
      await nextTurn();
    }
    const catalog = { version: hash, products };
    this.#catalogs.set(hash, catalog);
    return catalog;
  }

  async #readLayer(hash: string): Promise<readonly Product[]> {
    const known = this.#layers.get(hash);
    if (known !== undefined) return known;
    const products = productsIn(await this.#text(hash, 'catalog'));
    this.#layers.set(hash, products);
    return products;
  }

  async #text(hash: string, what: string): Promise<string> {
    const text = await this.#read(hash);
    if (text === null) throw new UsherError('BUNDLE_MISSING', `the ${what} ${hash} is not stored`);
    const found = bundleHash(text);
    if (found !== hash) throw new UsherError('BUNDLE_MISSING', `the text stored as ${what} ${hash} hashes to ${found}`);
    return text;
  }
}
