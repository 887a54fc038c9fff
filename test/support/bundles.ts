import { readFileSync } from 'node:fs';
import { canonicalJson } from '../../src/model/json.ts';
import { builtInPath, bundleHash, compileCatalog, compilePlaybook, mainPath } from '../../src/playbook/compile.ts';
import type { ActiveBundles, Catalog, Playbook, Product } from '../../src/playbook/playbook.ts';

const builtIn = readFileSync(new URL('../../src/playbook/builtin.yaml', import.meta.url), 'utf8');

/** Compiling takes longer than most tests, and a playbook is a value. */
const compiled = new Map<string, Playbook>();

/** Compiled playbooks and catalogs by their hashes, made from texts in a test by the real compiler. */
export class TestBundles {
  readonly #playbooks = new Map<string, Playbook>();
  readonly #catalogs = new Map<string, Catalog>();
  readonly #texts = new Map<string, string>();

  /** The text of a playbook.yaml; Usher's built-in events and traits come with it. @returns its hash */
  addPlaybook(yaml: string): string {
    const text = canonicalJson({ files: { [builtInPath]: builtIn, [mainPath]: yaml } });
    const hash = bundleHash(text);
    let playbook = compiled.get(hash) ?? null;
    if (playbook === null) {
      const made = compilePlaybook(text);
      playbook = made.playbook;
      if (playbook === null)
        throw new Error(made.problems.map(({ line, message }) => `${line}: ${message}`).join('\n'));
      compiled.set(hash, playbook);
    }
    this.#playbooks.set(hash, playbook);
    this.#texts.set(hash, text);
    return hash;
  }

  /** Products with their prices in minor units. @returns the catalog's hash */
  addCatalog(products: readonly (Partial<Product> & { readonly id: string; readonly price: number })[]): string {
    const all = products.map((product) => ({
      name: product.id,
      category: '',
      brand: '',
      image: '',
      url: '',
      ...product,
    }));
    const text = canonicalJson({ products: all });
    const hash = bundleHash(text);
    this.#catalogs.set(hash, compileCatalog(text));
    this.#texts.set(hash, text);
    return hash;
  }

  get(playbook: string, catalog: string): ActiveBundles | null {
    const found = { playbook: this.#playbooks.get(playbook), catalog: this.#catalogs.get(catalog) };
    return found.playbook === undefined || found.catalog === undefined ? null : (found as ActiveBundles);
  }

  /** All that were added, by their hashes. */
  get texts(): ReadonlyMap<string, string> {
    return this.#texts;
  }

  /** As a store keeps it. */
  text(hash: string): string | null {
    return this.#texts.get(hash) ?? null;
  }

  playbook(version: string): Playbook | null {
    return this.#playbooks.get(version) ?? null;
  }
}
