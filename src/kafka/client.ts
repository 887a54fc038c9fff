import { connect as connectTcp, isIP, Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import kafkajs, {
  type ConsumerConfig,
  type ISocketFactory,
  type Kafka,
  type LogEntry,
  type SASLOptions,
} from 'kafkajs';
import { registerCodecs } from './codecs.ts';
import { Cluster, createKafkaLogger, type KafkaCluster } from './internals.ts';
import { limits, timings } from './limits.ts';
import { guardTimers } from './timerGuard.ts';

const { logLevel } = kafkajs;

/** How to reach the brokers. */
export interface KafkaConnection {
  /** `host:port`, at least one; the others are learned from it. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly ssl?: ConnectionOptions;
  readonly sasl?: SASLOptions;
  /** Told of what kafkajs logs, from warnings on. Its errors are mostly attempts that it will repeat. */
  readonly report?: (level: 'warn' | 'error', message: string, details: object) => void;
  /** For faults in tests: what stands between us and a broker's address. */
  readonly reach?: (address: { host: string; port: number }) => { host: string; port: number };
}

/** kafkajs with every setting set, and its sockets in our hands. */
export interface KafkaClient {
  readonly kafka: Kafka;
  /** The cluster below kafkajs's producer and consumer, with connections of its own. */
  cluster(): KafkaCluster;
  /** Cuts connections, so that what waits on them fails now: all, or those to one broker. */
  cut(broker?: { readonly host: string; readonly port: number }): void;
  /**
   * Cuts all connections and lets none come again. A consumer of kafkajs that is told to disconnect while it joins a group goes on joining:
   * it would connect again, send its heartbeats, and hold shards that nobody serves.
   */
  close(): void;
}

/** kafkajs tries each connection this often before it tells us; we have our own back-off, and a deadline above. */
const retry = { retries: 2, initialRetryTime: 100, maxRetryTime: 1_000, restartOnFailure: async () => false };

/** Why a connection that we cut ended; kafkajs would report it as a fault. */
const gaveUp = 'Usher gave this connection up';

export function kafkaClient(connection: KafkaConnection): KafkaClient {
  guardTimers();
  registerCodecs();
  const sockets = new Map<Socket, string>();
  let isClosed = false;
  const cut = (broker?: { readonly host: string; readonly port: number }) => {
    const only = broker === undefined ? null : `${broker.host}:${broker.port}`;
    for (const [socket, address] of sockets) {
      // With an error: kafkajs does not listen to 'close', and would wait for answers that cannot come.
      if (only === null || address === only) socket.destroy(new Error(gaveUp));
    }
  };
  const options = {
    brokers: [...connection.brokers],
    clientId: connection.clientId,
    connectionTimeout: timings.connectMs,
    authenticationTimeout: timings.requestMs,
    requestTimeout: timings.requestMs,
    enforceRequestTimeout: true,
    retry,
    logLevel: logLevel.WARN,
    logCreator: () => logTo(connection),
    socketFactory: socketFactory(connection, sockets, () => isClosed),
    ...(connection.ssl === undefined ? {} : { ssl: connection.ssl }),
    ...(connection.sasl === undefined ? {} : { sasl: connection.sasl }),
  };
  return {
    kafka: new kafkajs.Kafka(options),
    cluster: () =>
      new Cluster({
        ...options,
        logger: createKafkaLogger({ level: options.logLevel, logCreator: options.logCreator }),
        metadataMaxAge: timings.metadataMs,
        allowAutoTopicCreation: false,
        isolationLevel: 0,
      }),
    cut,
    close() {
      isClosed = true;
      cut();
    },
  };
}

/** Of a consumer that ends at its first failure, so that whoever made it decides what follows. */
export function consumerSettings(groupId: string, sessionTimeoutMs: number): ConsumerConfig {
  return {
    groupId,
    sessionTimeout: sessionTimeoutMs,
    rebalanceTimeout: sessionTimeoutMs,
    heartbeatInterval: Math.min(timings.heartbeatMs, sessionTimeoutMs / 3),
    maxWaitTimeInMs: timings.fetchWaitMs,
    minBytes: 1,
    maxBytes: limits.fetchBytes,
    maxBytesPerPartition: limits.fetchPartitionBytes,
    allowAutoTopicCreation: false,
    metadataMaxAge: timings.metadataMs,
    retry: { retries: 3, initialRetryTime: 100, maxRetryTime: 1_000, restartOnFailure: async () => false },
  };
}

function socketFactory(
  connection: KafkaConnection,
  sockets: Map<Socket, string>,
  isClosed: () => boolean,
): ISocketFactory {
  return ({ host, port, onConnect }) => {
    // With an error that comes once kafkajs listens for it.
    if (isClosed()) return new Socket().destroy(new Error(gaveUp));
    const target = connection.reach?.({ host, port }) ?? { host, port };
    const { ssl } = connection;
    const socket =
      ssl === undefined
        ? connectTcp(target, onConnect)
        : connectTls({ ...target, ...(isIP(host) === 0 ? { servername: host } : {}), ...ssl }, onConnect);
    // kafkajs leaves Nagle's algorithm on: a second request would wait for the acknowledgement of the first, up to 40 ms.
    socket.setNoDelay(true);
    socket.setKeepAlive(true, timings.keepAliveMs);
    sockets.set(socket, `${host}:${port}`);
    socket.once('close', () => sockets.delete(socket));
    return socket;
  };
}

function logTo({ report }: KafkaConnection): (entry: LogEntry) => void {
  return ({ level, log: { message, timestamp: _, logger: __, stack: ___, ...details } }) => {
    if (!message.includes(gaveUp)) report?.(level <= logLevel.ERROR ? 'error' : 'warn', message, details);
  };
}
