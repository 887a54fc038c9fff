import { localBroadcast } from '../../src/push/localBroadcast.ts';
import { broadcastContract } from './broadcast.contract.ts';
import { eventLogContract } from './eventLog.contract.ts';
import { openSqliteLog, openSqliteStore } from './sqliteSubjects.ts';
import { stateStoreContract } from './stateStore.contract.ts';

eventLogContract('sqliteLog', openSqliteLog);
stateStoreContract('sqliteStore', openSqliteStore);
broadcastContract('localBroadcast', async () => {
  const broadcast = localBroadcast(() => {});
  return { broadcast, publish: (message) => broadcast.publish(message), close: () => broadcast.close() };
});
