import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { decodeCursor } from '../../../src/gateway/cursor.ts';

export interface SeenSlot {
  readonly name: string;
  readonly version: number;
  readonly content: { readonly id: string };
  readonly why: { readonly ruleId: string | null };
  readonly stale: boolean;
}
interface Update {
  readonly cursor: string;
  readonly slots: readonly SeenSlot[];
}

const document = `subscription ($after: Cursor) {
  contentUpdates(after: $after) { cursor slots { name version stale content { id } why { ruleId } } }
}`;

/** A page that shows a visitor's slots: when its connection is lost it comes back, to the other gateway, with its last cursor. */
export class Subscriber {
  readonly visitor: string;
  /** The newest of each slot. */
  readonly slots = new Map<string, SeenSlot>();
  readonly seen: SeenSlot[] = [];
  /** What must never be, in words. */
  readonly problems: string[] = [];
  connections = 0;
  #isOpen = true;
  #cursor: string | null = null;
  #last: { readonly lineage: string; readonly version: number } | null = null;
  #dispose: () => void = () => {};
  readonly #ended: Promise<void>;

  constructor(visitor: string, urls: readonly string[], first: number) {
    this.visitor = visitor;
    this.#ended = this.#run(urls, first);
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    this.#dispose();
    await this.#ended;
  }

  async #run(urls: readonly string[], first: number): Promise<void> {
    for (let turn = first; this.#isOpen; turn++) {
      await this.#subscribe(urls[turn % urls.length]!);
      await sleep(this.#isOpen ? 100 + Math.random() * 200 : 0);
    }
  }

  async #subscribe(url: string): Promise<void> {
    const client = createClient({
      url: `${url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${this.visitor}` },
      retryAttempts: 0,
      lazyCloseTimeout: 0,
      // A gateway that sleeps, or whose machine is gone, does not say so.
      keepAlive: 2_000,
      on: { connected: () => this.connections++ },
    });
    await new Promise<void>((resolve) => {
      this.#dispose = () => {
        void client.dispose();
        resolve();
      };
      const options = { query: document, variables: { after: this.#cursor } };
      client.subscribe<{ contentUpdates: Update }>(options, {
        next: ({ data, errors }) => {
          if (data?.contentUpdates) this.#note(data.contentUpdates);
          else this.problems.push(`${this.visitor} was told ${JSON.stringify(errors)}`);
        },
        complete: resolve,
        error: () => resolve(),
      });
    });
    await client.dispose();
  }

  #note({ cursor, slots }: Update): void {
    this.seen.push(...slots);
    // What was last known while the state was away is replaced by whatever comes next.
    if (slots.some(({ stale }) => stale)) return;
    const { lineage, version } = decodeCursor(cursor, this.visitor).slots!;
    // A visitor that was not known yet has no lineage of its own.
    if (this.#last !== null && this.#last.lineage === lineage && version <= this.#last.version) {
      this.problems.push(`${this.visitor} saw version ${version} after ${this.#last.version} of lineage ${lineage}`);
    }
    this.#last = { lineage, version };
    this.#cursor = cursor;
    for (const slot of slots) this.slots.set(slot.name, slot);
  }
}
