import { UsherError } from '../errors.ts';
import { type FeedProduct, passedOver, productOf } from './catalog/row.ts';
import { formats, readFeed } from './catalog/source.ts';
import { clientOptions, connect, type GraphqlClient, textOption } from './client.ts';
import type { CliIo, Command } from './command.ts';
import { askAgain, RowImport, type Waiting } from './importing/rowImport.ts';

const mutation = `mutation ($products: [ProductInput!]!) { upsertProducts(input: { products: $products }) {
  outcomes { status error { message } } } }`;
interface Answer {
  readonly upsertProducts: {
    readonly outcomes: readonly {
      readonly status: 'CREATED' | 'CHANGED' | 'UNCHANGED' | 'REFUSED';
      readonly error: { readonly message: string } | null;
    }[];
  };
}

/** Of one call; the server takes no more at once. */
const batch = { rows: 500, chars: 100_000 } as const;
export const catalog: Command = {
  name: 'catalog',
  summary: 'Import products from a feed: CSV, JSON lines or Google Merchant XML',
  positionals: [
    { name: 'import', required: true, help: 'Writes the products of a feed over those that are there' },
    { name: 'FILE|URL', required: true, help: 'The feed; one that ends with .gz is unpacked' },
  ],
  options: {
    format: { type: 'string', value: 'csv|jsonl|xml', help: 'What the feed is [as its first byte tells]' },
    ...clientOptions,
  },
  epilogue: `Rows that are no product are listed with line and reason, the others are imported. It can be run again: what is there already stays as it is.
  usher catalog import products.csv
  usher catalog import https://shop.example/feed.xml`,
  async run(args, io) {
    const [action, where] = args.positionals;
    if (action !== 'import')
      throw new UsherError('COMMAND_FAILED', `expected \`usher catalog import FILE|URL\`, got ${action}`);
    const format = textOption(args, 'format') ?? null;
    if (format !== null && !Object.hasOwn(formats, format))
      throw new UsherError('COMMAND_FAILED', `--format is ${format}; expected ${Object.keys(formats).join(', ')}`);
    const client = connect(args, io);
    const products = new Products(client, io);
    const { rows } = products;
    try {
      for await (const row of readFeed(where!, format, io)) {
        if ('message' in row) rows.refuse(row.line, row.message);
        else await products.take(row.line, row.fields);
      }
      await rows.send();
    } finally {
      client.close();
      products.report();
    }
    return rows.refused === 0 ? 0 : 1;
  },
};

/** Has the rows written, and counts what became of them. */
class Products {
  readonly rows: RowImport<FeedProduct>;
  readonly #client: GraphqlClient;
  readonly #signal: AbortSignal;
  readonly #counts = { CREATED: 0, CHANGED: 0, UNCHANGED: 0 };

  constructor(client: GraphqlClient, io: CliIo) {
    this.#client = client;
    this.#signal = io.signal;
    this.rows = new RowImport(io, batch, (rows) => this.#put(rows));
  }

  async take(line: number, fields: ReadonlyMap<string, string>): Promise<void> {
    for (const name of passedOver(fields)) this.rows.passOver(name);
    const product = productOf(fields, Date.now());
    if (typeof product === 'string') this.rows.refuse(line, product);
    else await this.rows.take(line, product);
  }

  async #put(rows: readonly Waiting<FeedProduct>[]): Promise<void> {
    const products = rows.map(({ row }) => row);
    const { upsertProducts } = await askAgain<Answer>(this.#client, mutation, { products }, this.#signal);
    upsertProducts.outcomes.forEach(({ status, error }, i) => {
      const { line, row } = rows[i]!;
      if (status === 'REFUSED') this.rows.refuse(line, `${row.id}: ${error?.message}`);
      else this.#counts[status]++;
    });
  }

  report(): void {
    const { CREATED, CHANGED, UNCHANGED } = this.#counts;
    const counts = [
      [CREATED, 'new'],
      [CHANGED, 'changed'],
      [UNCHANGED, 'as they were'],
    ] as const;
    this.rows.report('products', counts, '');
  }
}
