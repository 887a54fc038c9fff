import { sharedEngine } from '../support/engines.ts';
import { adapters } from '../support/pair.ts';
import type { BroadcastSubject } from './broadcast.contract.ts';
import type { EventLogSubject } from './eventLog.contract.ts';
import { openKafkaLogSubject } from './kafkaSubjects.ts';
import { openRedisBroadcast, openRedisStore } from './redisSubjects.ts';
import { openLocalBroadcast, openSqliteLog, openSqliteStore } from './sqliteSubjects.ts';
import type { StateStoreSubject } from './stateStore.contract.ts';

interface Subjects {
  readonly log: () => Promise<EventLogSubject>;
  readonly store: () => Promise<StateStoreSubject>;
  readonly broadcast: () => Promise<BroadcastSubject>;
}

const redisUrl = async () => `redis://${await sharedEngine('redis')}`;

/** What the contracts are asked of, by this project's pair of adapters. */
export const open: Subjects = {
  embedded: { log: openSqliteLog, store: openSqliteStore, broadcast: openLocalBroadcast },
  clustered: {
    log: async () => openKafkaLogSubject(await sharedEngine('kafka')),
    store: async () => openRedisStore(await redisUrl()),
    broadcast: async () => openRedisBroadcast(await redisUrl()),
  },
}[adapters];
