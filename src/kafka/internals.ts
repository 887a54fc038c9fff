import { createRequire } from 'node:module';
import { encodeProduce } from './produceRequest.ts';

/**
 * What we use of kafkajs below its public face, with the types it does not publish. kafkajs 2.2.4 is pinned exactly and has had no
 * release since 2023; test/kafka would show a change. Why not its producer: it does not say whether a request that failed had left this
 * machine (a lost connection and a refused reconnection look alike), it throws away the outcomes of all partitions when one has an error,
 * and it copies a partition's messages once for each of them. Why not its consumer for single reads: it has none without a group.
 */
export interface KafkaCluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  isConnected(): boolean;
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>;
  refreshMetadata(): Promise<void>;
  findTopicPartitionMetadata(topic: string): readonly PartitionMetadata[];
  findBroker(node: { nodeId: number }): Promise<KafkaBroker>;
  removeBroker(address: { host: string; port: number }): void;
  readonly brokerPool: { readonly brokers: Readonly<Record<string, KafkaBroker>> };
}

interface PartitionMetadata {
  readonly partitionId: number;
  readonly leader: number;
}

export interface KafkaBroker {
  readonly nodeId: number;
  isConnected(): boolean;
  readonly connectionPool: {
    readonly host: string;
    readonly port: number;
    send<Answer>(call: ProtocolCall<Answer>): Promise<Answer>;
  };
  lookupRequest(apiKey: number, definition: unknown): (fields: object) => ProtocolCall<unknown>;
  fetch(fields: {
    readonly maxWaitTime: number;
    readonly minBytes: number;
    readonly maxBytes: number;
    readonly isolationLevel: number;
    readonly topics: readonly {
      readonly topic: string;
      readonly partitions: readonly {
        readonly partition: number;
        readonly fetchOffset: string;
        readonly maxBytes: number;
      }[];
    }[];
  }): Promise<{ readonly responses: readonly { readonly partitions: readonly FetchedPartition[] }[] }>;
  listOffsets(fields: {
    readonly isolationLevel: number;
    readonly topics: readonly {
      readonly topic: string;
      readonly partitions: readonly { readonly partition: number; readonly timestamp: number }[];
    }[];
  }): Promise<{
    readonly responses: readonly {
      readonly partitions: readonly { readonly partition: number; readonly offset: string }[];
    }[];
  }>;
}

interface ProtocolCall<Answer> {
  readonly request: object;
  readonly response: {
    decode(raw: Buffer): Promise<unknown>;
    parse(decoded: unknown): Promise<Answer>;
  };
}

/** The messages of one partition in a produce request. */
export interface ProducedPartition {
  readonly partition: number;
  readonly messages: readonly ProducedMessage[];
}

export interface ProducedMessage {
  readonly key: Buffer | null;
  readonly value: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ProduceReply {
  readonly topics: readonly {
    readonly partitions: readonly {
      readonly partition: number;
      readonly errorCode: number;
      readonly baseOffset: string;
      readonly logAppendTime: string;
    }[];
  }[];
}

export interface FetchedPartition {
  readonly partition: number;
  readonly messages: readonly FetchedMessage[];
}

export interface FetchedMessage {
  readonly offset: string;
  readonly timestamp: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers?: Readonly<Record<string, Buffer>>;
}

/** A fetched partition without the records of aborted transactions and the transactions' markers. */
export interface FilteredBatch {
  /** What was asked for; the public type leaves it out. */
  readonly fetchedOffset: string | number;
  readonly messages: readonly FetchedMessage[];
  lastOffset(): string;
}

export interface RequestQueuePrototype {
  scheduleCheckPendingRequests(this: RequestQueue): void;
}

export interface RequestQueue {
  readonly pending: readonly unknown[];
  throttledUntil: number;
}

const load = createRequire(import.meta.url);

export const Cluster: new (options: object) => KafkaCluster = load('kafkajs/src/cluster');
export const FetchBatch: new (topic: string, fetchedOffset: string, partition: FetchedPartition) => FilteredBatch =
  load('kafkajs/src/consumer/batch');
export const createKafkaLogger: (options: object) => unknown = load('kafkajs/src/loggers').createLogger;
export const requestQueue: { readonly prototype: RequestQueuePrototype } = load('kafkajs/src/network/requestQueue');
export const errorTypeOf: (code: number) => { readonly type: string; readonly message: string } =
  load('kafkajs/src/protocol/error').createErrorFromCode;

const produceApi: number = load('kafkajs/src/protocol/requests/apiKeys').Produce;
const produceDefinition: unknown = load('kafkajs/src/protocol/requests').requests.Produce;

/**
 * One produce request with acks=-1, in our encoding. Answers with the outcome of each partition, where kafkajs's own `parse` throws at the
 * first error.
 */
export function produce(
  broker: KafkaBroker,
  topic: string,
  partitions: readonly ProducedPartition[],
  timeoutMs: number,
): Promise<ProduceReply> {
  const { request, response } = broker.lookupRequest(produceApi, produceDefinition)({ acks: -1 });
  return broker.connectionPool.send<ProduceReply>({
    request: {
      ...request,
      encode: async () => {
        const buffer = encodeProduce(topic, partitions, timeoutMs);
        // What kafkajs asks of an encoder whose bytes it takes over.
        return { buf: buffer, buffer };
      },
    },
    response: { decode: response.decode, parse: async (decoded) => decoded as ProduceReply },
  });
}
