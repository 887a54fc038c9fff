import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { ProductChange } from '../model/products.ts';
import type { PublishRequest, PutProductsRequest } from './messages.ts';

/** The tables of imported products, as the writer thread changes them. Each method runs in a transaction that the caller has begun. */
export class ProductTables {
  readonly #find: StatementSync;
  readonly #last: StatementSync;
  readonly #put: StatementSync;
  readonly #published: StatementSync;
  readonly #publish: StatementSync;

  constructor(db: DatabaseSync) {
    this.#find = db.prepare('select text from products where id = ?');
    this.#last = db.prepare('select max(revision) as revision from products');
    this.#put = db.prepare(
      `insert into products (id, revision, text) values (?, ?, ?)
       on conflict (id) do update set revision = excluded.revision, text = excluded.text`,
    );
    this.#published = db.prepare('select text from published');
    this.#publish = db.prepare(
      'insert into published (only, text) values (1, ?) on conflict (only) do update set text = excluded.text',
    );
  }

  put({ ids, texts }: PutProductsRequest): ProductChange[] {
    let revision = Number(this.#last.get()!['revision'] ?? 0);
    return ids.map((id, i) => {
      const found = this.#find.get(id)?.['text'];
      if (found === texts[i]) return 'UNCHANGED';
      this.#put.run(id, ++revision, texts[i]!);
      return found === undefined ? 'CREATED' : 'CHANGED';
    });
  }

  publish({ previous, next }: PublishRequest): boolean {
    const stands = this.#published.get()?.['text'] ?? null;
    if (stands === next) return true;
    if (stands !== previous) return false;
    this.#publish.run(next);
    return true;
  }
}
