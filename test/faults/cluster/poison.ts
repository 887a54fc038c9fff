import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip, zstdCompress } from 'node:zlib';
import kafkajs, { type Kafka, type Producer } from 'kafkajs';
import { registerCodecs } from '../../../src/kafka/codecs.ts';
import { guardTimers } from '../../../src/kafka/timerGuard.ts';
import type { FailureReason } from '../../../src/model/commit.ts';
import { shardOf } from '../../../src/model/shard.ts';
import { shards } from './cluster.ts';

/** What must become of it: a failed event with this reason, an event that is folded, or nothing at all. */
type Fate = FailureReason | 'folded' | 'nothing';

interface Poison {
  readonly fate: Fate;
  /** Of an event that would be right: what another program made of it. */
  readonly value: (event: Members) => Buffer | string | null;
  readonly key?: Buffer | null;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly compression?: 1 | 2 | 3 | 4;
  readonly transaction?: 'commits' | 'aborts';
  readonly wrongShard?: true;
}
type Members = Readonly<Record<string, unknown>>;

const text = (event: Members) => JSON.stringify(event);
/** An event with other members, or with some text of it replaced, as no JSON library would write it. */
const withMembers = (more: Members) => (event: Members) => text({ ...event, ...more });
const withText = (from: string, to: string) => (event: Members) => text(event).replace(from, to);

const poisons: Readonly<Record<string, Poison>> = {
  'a tombstone': { fate: 'UNREADABLE', value: () => null },
  'no value and no key': { fate: 'UNREADABLE', value: () => null, key: null },
  'an empty value': { fate: 'UNREADABLE', value: () => '' },
  'no JSON': { fate: 'UNREADABLE', value: (event) => text(event).slice(1) },
  'bytes that are no UTF-8': { fate: 'UNREADABLE', value: () => Buffer.from([0xff, 0xfe, 0x7b, 0x00]) },
  'JSON, but a list': { fate: 'UNREADABLE', value: (event) => `[${text(event)}]` },
  'another version': { fate: 'UNREADABLE', value: withMembers({ v: 2 }) },
  'a kind nobody knows': { fate: 'UNKNOWN_KIND', value: withMembers({ kind: 'toString' }) },
  'a kind that is not run yet': { fate: 'UNKNOWN_KIND', value: withMembers({ kind: 'erase' }) },
  'no id': { fate: 'UNREADABLE', value: withMembers({ id: undefined }) },
  'a visitor who cannot be one': { fate: 'UNREADABLE', value: withMembers({ visitor: 'a\u0000b' }) },
  'a lone surrogate in the visitor': { fate: 'UNREADABLE', value: withMembers({ visitor: 'v\ud800' }) },
  'a time that is none': { fate: 'UNREADABLE', value: withMembers({ at: -1.5 }) },
  'a number without a source': { fate: 'UNREADABLE', value: withMembers({ sequence: 1 }) },
  'a megabyte of nothing': { fate: 'UNREADABLE', value: () => ' '.repeat(1_000_000) },
  'another shard': { fate: 'WRONG_SHARD', value: text, wrongShard: true },
  // An order, because a late addition to the cart is folded without its price.
  'a price nobody knows': {
    fate: 'PRICE_UNKNOWN',
    value: withMembers({
      type: 'order_completed',
      properties: { orderId: 'o', lines: [{ productId: '__proto__', quantity: 1 }] },
    }),
  },
  'ten thousand levels': {
    fate: 'UNREADABLE',
    value: withText('"productId":"p_001"', `"productId":"p_001","deep":${'['.repeat(10_000)}${']'.repeat(10_000)}`),
  },
  'a megabyte in a property': {
    fate: 'folded',
    value: withMembers({ type: 'search_performed', properties: { query: `tent ${'x'.repeat(990_000)}` } }),
  },
  'a prototype': {
    fate: 'folded',
    value: withText('"productId":"p_001"', '"productId":"p_001","__proto__":{"productId":"p_002"},"constructor":1'),
  },
  'a lone surrogate in a text that slots show': {
    fate: 'folded',
    value: withMembers({ type: 'search_performed', properties: { query: 'tent \ud800' } }),
  },
  'a number beyond all numbers': {
    fate: 'folded',
    value: withText('"productId":"p_001"', '"productId":"p_001","price":1e999'),
  },
  'a name twice': { fate: 'folded', value: withText('"productId":"p_001"', '"productId":"p_001","productId":"p_002"') },
  'a time to come': { fate: 'folded', value: withMembers({ at: Date.UTC(2100, 0) }) },
  'no key': { fate: 'folded', value: text, key: null },
  'a key that is no UTF-8': { fate: 'folded', value: text, key: Buffer.from([0xff, 0x00]) },
  'a header twice': { fate: 'folded', value: text, headers: { trace: ['1', '2'], empty: '' } },
  gzip: { fate: 'folded', value: text, compression: 1 },
  snappy: { fate: 'folded', value: text, compression: 2 },
  lz4: { fate: 'folded', value: text, compression: 3 },
  zstd: { fate: 'folded', value: text, compression: 4 },
  'a transaction and its marker': { fate: 'folded', value: text, transaction: 'commits' },
  'an aborted transaction': { fate: 'nothing', value: text, transaction: 'aborts' },
};

export const kinds = Object.keys(poisons);

/** Where it was written, and what must become of it. */
export interface Written {
  readonly kind: string;
  readonly fate: Fate;
  readonly shard: number;
  readonly offset: number;
}

/** Another program that writes to our topic what it should not. */
export class Poisoner {
  readonly #topic: string;
  readonly #kafka: Kafka;
  readonly #producer: Producer;
  readonly #inTransactions: Producer;

  static async connect(address: string, topic: string): Promise<Poisoner> {
    guardTimers();
    registerPackers();
    const poisoner = new Poisoner(address, topic);
    await poisoner.#producer.connect();
    await poisoner.#inTransactions.connect();
    return poisoner;
  }

  private constructor(address: string, topic: string) {
    const { Kafka, logLevel } = kafkajs;
    this.#topic = topic;
    this.#kafka = new Kafka({ brokers: [address], clientId: 'poisoner', logLevel: logLevel.NOTHING });
    this.#producer = this.#kafka.producer();
    this.#inTransactions = this.#kafka.producer({
      transactionalId: randomUUID(),
      maxInFlightRequests: 1,
      idempotent: true,
    });
  }

  /** One of each kind, for these visitors in turn. */
  async write(visitors: readonly string[]): Promise<readonly Written[]> {
    const written: Written[] = [];
    for (const [i, [kind, poison]] of Object.entries(poisons).entries()) {
      const visitor = visitors[i % visitors.length]!;
      const own = shardOf(visitor, shards);
      const partition = poison.wrongShard ? (own + 1) % shards : own;
      const offset = await this.#send(partition, visitor, poison);
      written.push({ kind, fate: poison.fate, shard: partition, offset });
    }
    return written;
  }

  async #send(partition: number, visitor: string, poison: Poison): Promise<number> {
    const event = {
      v: 1,
      kind: 'event',
      id: randomUUID(),
      visitor,
      type: 'product_viewed',
      properties: { productId: 'p_001' },
    };
    const { key = visitor, headers = {}, compression = 0, transaction } = poison;
    const messages = [{ partition, key, value: poison.value(event) as Buffer, headers: { ...headers } }];
    const batch = { topic: this.#topic, acks: -1, compression: compression as number, messages };
    if (transaction === undefined) return offsetOf(await this.#producer.send(batch));
    const open = await this.#inTransactions.transaction();
    const sent = await open.send(batch);
    await (transaction === 'commits' ? open.commit() : open.abort());
    return offsetOf(sent);
  }

  async close(): Promise<void> {
    await this.#producer.disconnect();
    await this.#inTransactions.disconnect();
  }
}

function offsetOf([answer]: readonly { readonly baseOffset?: string }[]): number {
  return Number(answer!.baseOffset);
}

/** kafkajs packs with gzip alone. A broker unpacks what comes to check it, so what these make is what it says. */
function registerPackers(): void {
  registerCodecs();
  const { CompressionCodecs } = kafkajs;
  const packers = [promisify(gzip), snappyOf, lz4Of, promisify(zstdCompress)] as const;
  for (const [i, pack] of packers.entries()) {
    const type = (i + 1) as 1 | 2 | 3 | 4;
    const readers = CompressionCodecs[type]();
    CompressionCodecs[type] = () => ({
      ...readers,
      compress: async ({ buffer }: { readonly buffer: Buffer }) => pack(buffer),
    });
  }
}

/** A raw block of one literal: the length in groups of 7 bits, then a tag that says that the literal's length takes 4 bytes. */
function snappyOf(bytes: Buffer): Buffer {
  const head: number[] = [];
  for (let left = bytes.length; left > 0; left >>>= 7) head.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
  const tag = Buffer.alloc(5);
  tag[0] = (60 + 3) << 2;
  tag.writeUInt32LE(bytes.length - 1, 1);
  return Buffer.concat([Buffer.from(head), tag, bytes]);
}

/** A frame of one block that is stored as it is. */
function lz4Of(bytes: Buffer): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32LE((bytes.length | 0x80000000) >>> 0);
  return Buffer.concat([Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]), size, bytes, Buffer.alloc(4)]);
}
