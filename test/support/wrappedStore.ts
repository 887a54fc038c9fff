import type { ActionTable, StateStore } from '../../src/state/stateStore.ts';

/** The store with some of what it does about actions replaced. */
export function withActions(store: StateStore, changes: Partial<ActionTable>): StateStore {
  const { actions } = store;
  const changed: ActionTable = {
    accept: (...args) => actions.accept(...args),
    write: (...args) => actions.write(...args),
    readPending: (...args) => actions.readPending(...args),
    readDead: (query) => actions.readDead(query),
    readDeadOf: (...args) => actions.readDeadOf(...args),
    ...changes,
  };
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'actions') return changed;
      const value = target[name as keyof StateStore];
      return typeof value === 'function' ? (value as (...args: never[]) => unknown).bind(target) : value;
    },
  });
}
