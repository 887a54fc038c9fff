import { setTimeout as sleep } from 'node:timers/promises';
import { UsherError } from '../errors.ts';
import { type FeedProduct, passedOver, productOf } from './catalog/row.ts';
import { formats, readFeed } from './catalog/source.ts';
import { clientOptions, connect, type GraphqlClient, textOption } from './client.ts';
import type { CliIo, Command } from './command.ts';
import { printable } from './style.ts';

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
const batch = { products: 500, chars: 100_000 } as const;
/** Between two tries of a call, doubled up to the most, ms; given up after the last. */
const retryMs = { first: 200, most: 5_000, tries: 20 } as const;
/** Lines about refused rows; more are counted. */
const listed = 1_000;

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
    const run = new Import(client, io);
    try {
      for await (const row of readFeed(where!, format, io)) {
        if ('message' in row) run.refuse(row.line, row.message);
        else await run.take(row.line, row.fields);
      }
      await run.send();
    } finally {
      client.close();
      run.report();
    }
    return run.refused === 0 ? 0 : 1;
  },
};

/** One run over a feed: holds no more of it than one call's products. */
class Import {
  readonly #client: GraphqlClient;
  readonly #io: CliIo;
  readonly #startedAt = performance.now();
  readonly #passedOver = new Set<string>();
  readonly #counts = { CREATED: 0, CHANGED: 0, UNCHANGED: 0, REFUSED: 0 };
  #waiting: { readonly line: number; readonly product: FeedProduct }[] = [];
  #chars = 0;

  constructor(client: GraphqlClient, io: CliIo) {
    this.#client = client;
    this.#io = io;
  }

  get refused(): number {
    return this.#counts.REFUSED;
  }

  async take(line: number, fields: ReadonlyMap<string, string>): Promise<void> {
    for (const name of passedOver(fields)) this.#passedOver.add(name);
    const product = productOf(fields, Date.now());
    if (typeof product === 'string') return this.refuse(line, product);
    const chars = JSON.stringify(product).length;
    if (this.#waiting.length === batch.products || this.#chars + chars > batch.chars) await this.send();
    this.#waiting.push({ line, product });
    this.#chars += chars;
  }

  refuse(line: number, message: string): void {
    if (++this.#counts.REFUSED <= listed) this.#io.err(`line ${line}: ${printable(message)}`);
  }

  async send(): Promise<void> {
    const sent = this.#waiting;
    if (sent.length === 0) return;
    this.#waiting = [];
    this.#chars = 0;
    const { upsertProducts } = await this.#ask(sent.map(({ product }) => product));
    upsertProducts.outcomes.forEach(({ status, error }, i) => {
      const { line, product } = sent[i]!;
      if (status === 'REFUSED') this.refuse(line, `${product.id}: ${error?.message}`);
      else this.#counts[status]++;
    });
  }

  /** The same call again does nothing, so one without an answer is sent again. */
  async #ask(products: readonly FeedProduct[]): Promise<Answer> {
    const { signal } = this.#io;
    for (let tries = 1; ; tries++) {
      const answer = await this.#client.ask<Answer>(mutation, { products }, signal);
      if (answer.kind === 'data') return answer.data;
      const isWorthIt = answer.kind === 'unreached' ? answer.sent : answer.retryable;
      if (!isWorthIt || tries === retryMs.tries) throw this.#client.errorOf(answer);
      const afterMs = answer.kind === 'errors' ? answer.retryAfterMs : null;
      await sleep(afterMs ?? Math.min(retryMs.most, retryMs.first * 2 ** (tries - 1)), undefined, { signal });
    }
  }

  report(): void {
    const { CREATED, CHANGED, UNCHANGED, REFUSED } = this.#counts;
    if (REFUSED > listed) this.#io.err(`and ${(REFUSED - listed).toLocaleString('en')} more`);
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(1);
    const counts = [
      `${CREATED.toLocaleString('en')} new`,
      `${CHANGED.toLocaleString('en')} changed`,
      `${UNCHANGED.toLocaleString('en')} as they were`,
      `${REFUSED.toLocaleString('en')} refused`,
    ];
    this.#io.out(`products: ${counts.join(', ')}; ${seconds} s`);
    if (this.#passedOver.size > 0) this.#io.out(`passed over: ${[...this.#passedOver].map(printable).join(', ')}`);
  }
}
