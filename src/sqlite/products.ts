import type { ChangedProduct, ProductChange, ProductStatus, ProductText } from '../model/products.ts';
import type { SqliteFile } from './sqlite.ts';

/** Imported products in the embedded file: the ProductState of the state's port. */
export class SqliteProducts {
  readonly #file: SqliteFile;
  readonly #sql: ReturnType<typeof prepareReads>;

  constructor(file: SqliteFile) {
    this.#file = file;
    this.#sql = prepareReads(file);
  }

  async put(products: readonly ProductText[]): Promise<readonly ProductChange[]> {
    const { writer } = this.#file;
    const changes = await writer.request<ProductChange[]>({
      what: 'putProducts',
      ids: products.map(({ id }) => id),
      texts: products.map(({ text }) => text),
    });
    // Unlike a commit, no log would bring it again after a power cut.
    await writer.synced();
    return changes;
  }

  async read(ids: readonly string[]): Promise<readonly (string | null)[]> {
    return this.#read('products', () =>
      ids.map((id) => {
        const text = this.#sql.product.get(id)?.['text'];
        return typeof text === 'string' ? text : null;
      }),
    );
  }

  async readChanged(after: number, limit: number): Promise<readonly ChangedProduct[]> {
    return this.#read('changed products', () =>
      this.#sql.changed.all(after, limit).map((row) => ({
        id: String(row['id']),
        revision: Number(row['revision']),
        text: String(row['text']),
      })),
    );
  }

  async status(): Promise<ProductStatus> {
    return this.#read('the state of products', () => {
      const row = this.#sql.status.get()!;
      const published = row['published'];
      return {
        products: Number(row['products']),
        revision: Number(row['revision'] ?? 0),
        published: typeof published === 'string' ? published : null,
      };
    });
  }

  async publish(previous: string | null, next: string): Promise<boolean> {
    return this.#file.writer.request<boolean>({ what: 'publish', previous, next });
  }

  #read<T>(what: string, read: () => T): T {
    return this.#file.readOne(`${what} could not be read`, read);
  }
}

function prepareReads(file: SqliteFile) {
  return {
    product: file.prepare('select text from products where id = ?'),
    changed: file.prepare('select id, revision, text from products where revision > ? order by revision limit ?'),
    status: file.prepare(
      `select (select count(*) from products) as products, (select max(revision) from products) as revision,
       (select text from published) as published`,
    ),
  };
}
