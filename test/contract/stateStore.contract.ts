import type { Broadcast } from '../../src/push/broadcast.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import type { ContractCase } from './contract.ts';
import { actionCases } from './stateStore.actions.ts';
import { ownershipCases } from './stateStore.ownership.ts';
import { productCases } from './stateStore.products.ts';
import { readingCases } from './stateStore.reading.ts';
import { writingCases } from './stateStore.writing.ts';

/** A fresh state of `stateShards` shards, with the broadcast on which its commits are heard. */
export interface StateStoreSubject {
  readonly store: StateStore;
  readonly broadcast: Broadcast;
  /** Closes the store and opens the same one again, as a restart does. */
  reopen(): Promise<StateStore>;
  close(): Promise<void>;
}

/** N of every subject. */
export const stateShards = 4;

export const stateStoreCases: readonly ContractCase<StateStoreSubject>[] = [
  ...ownershipCases,
  ...writingCases,
  ...readingCases,
  ...productCases,
  ...actionCases,
];
