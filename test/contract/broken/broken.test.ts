import { describe, expect, it } from 'vitest';
import type { EventLog } from '../../../src/log/eventLog.ts';
import { localBroadcast } from '../../../src/push/localBroadcast.ts';
import { openSqlite } from '../../../src/sqlite/sqlite.ts';
import { sqliteStore } from '../../../src/state/sqliteStore.ts';
import type { StateStore } from '../../../src/state/stateStore.ts';
import { type ContractCase, runCase } from '../contract.ts';
import { type EventLogSubject, eventLogCases } from '../eventLog.contract.ts';
import { openSqliteLog, openSqliteStore, sqliteOptions, temporaryFolder } from '../sqliteSubjects.ts';
import { type StateStoreSubject, stateStoreCases } from '../stateStore.contract.ts';
import { forgetsAnAppend, givesAnOffsetTwice } from './logs.ts';
import {
  attemptsForAnybody,
  commitsHalf,
  ignoresTheFence,
  losesATimer,
  publishesBeforeItCommits,
  takesOrdersTwice,
} from './stores.ts';

/** The case of this name must fail, and for the promise that is broken rather than for a fault of the wrapper. */
async function expectCaught<Subject extends { close(): Promise<void> }>(
  cases: readonly ContractCase<Subject>[],
  name: string,
  open: () => Promise<Subject>,
  how: RegExp,
): Promise<void> {
  const one = cases.find((candidate) => candidate.name === name);
  if (one === undefined) throw new Error(`no case is called ${JSON.stringify(name)}`);
  await expect(runCase(one, open)).rejects.toThrow(how);
}

const withLog = (broken: (log: EventLog) => EventLog) => async (): Promise<EventLogSubject> => {
  const subject = await openSqliteLog();
  return { ...subject, log: broken(subject.log), reopen: async () => broken(await subject.reopen()) };
};

const withStore = (broken: (store: StateStore) => StateStore) => async (): Promise<StateStoreSubject> => {
  const subject = await openSqliteStore();
  return { ...subject, store: broken(subject.store), reopen: async () => broken(await subject.reopen()) };
};

async function withPublishingFirst(): Promise<StateStoreSubject> {
  const { folder, remove } = await temporaryFolder();
  const broadcast = localBroadcast();
  const file = await openSqlite(sqliteOptions(folder));
  const store = publishesBeforeItCommits(sqliteStore(file, localBroadcast()), broadcast);
  const close = async () => {
    await file.close();
    await remove();
  };
  return { store, broadcast, reopen: () => Promise.reject(new Error('no case that catches it restarts')), close };
}

describe('the contract suites catch a broken adapter', () => {
  it('a log that forgets an append', async () => {
    const open = withLog(forgetsAnAppend);
    await expectCaught(
      eventLogCases,
      'hands over every accepted record once, in offset order',
      open,
      /take gave up after 2\d of 25/,
    );
  });

  it('a log that gives an offset twice', async () => {
    const open = withLog(givesAnOffsetTwice);
    const name = 'gives no offset of a shard twice, and growing ones, to callers at the same time';
    await expectCaught(eventLogCases, name, open, /to deeply equal/);
  });

  it('a store that commits half', async () => {
    await expectCaught(
      stateStoreCases,
      'shows no reader half of a commit',
      withStore(commitsHalf),
      /to deeply equal \[\]/,
    );
  });

  it('a store that ignores the fence', async () => {
    const open = withStore(ignoresTheFence);
    const fenced = /expected 'DONE' to be 'FENCED'/;
    await expectCaught(
      stateStoreCases,
      'fences a commit of another owner: nothing changes, nothing is published',
      open,
      fenced,
    );
    await expectCaught(stateStoreCases, 'fences a commit whose previous id is not the one that stands', open, fenced);
    await expectCaught(stateStoreCases, 'lets one of two racing owners win, and fences the other', open, fenced);
  });

  it('a store that loses a timer', async () => {
    await expectCaught(
      stateStoreCases,
      'keeps every timer of a commit of 256 visitors',
      withStore(losesATimer),
      /to deeply equal/,
    );
  });

  it('a store that publishes before it commits', async () => {
    const name = 'publishes one message a commit, after it is written, also when no visitor changed';
    await expectCaught(stateStoreCases, name, withPublishingFirst, /to deeply equal/);
  });

  it('a store that takes an order again', async () => {
    const open = withStore(takesOrdersTwice);
    const name = 'takes an order once, however often it comes, whatever has become of it';
    await expectCaught(stateStoreCases, name, open, /to deeply equal \[\]/);
    await expectCaught(stateStoreCases, 'drives nothing again that is not dead', open, /to deeply equal \[\]/);
  });

  it('a store that lets anybody say what becomes of a message', async () => {
    const name = 'fences actions of a process that is not the owner any more: nothing changes';
    await expectCaught(stateStoreCases, name, withStore(attemptsForAnybody), /expected true to be false/);
  });
});
