import { type DeadQuery, isOver, isPending, type StoredAction } from '../../src/model/storedAction.ts';
import type { ActionTable } from '../../src/state/stateStore.ts';
import type { Network } from './network.ts';
import type { SimulatedProcess } from './process.ts';
import type { SimulatedState } from './state.ts';

/** What became of a shard's orders, by id. */
export type Actions = ReadonlyMap<string, StoredAction>;

/** A shard's actions as a process sees them; they stand in the state's history, so that a failover forgets of them too. */
export function actionsFor(process: SimulatedProcess, state: SimulatedState, network: Network): ActionTable {
  const ofShard = (shard: number) => [...(state.standing(shard)?.actions.values() ?? [])];
  const dead = ({ shard, destination, before, limit }: DeadQuery) =>
    ofShard(shard)
      .filter((one) => one.state === 'dead' && (destination === null || one.order.destination === destination))
      .sort(newerFirst)
      .filter(
        (one) => before === null || newerFirst(one, { ...one, ...before, order: { ...one.order, id: before.id } }) > 0,
      )
      .slice(0, limit);
  return {
    accept: (shard, owner, actions) =>
      network.call(process, 'write', `accepted actions of shard ${shard}`, () =>
        state.setActions(
          shard,
          owner,
          actions,
          (known, { order }) =>
            known === undefined || (known.state === 'dead' && order.redriven > known.order.redriven),
        ),
      ),
    write: (shard, owner, actions) =>
      network.call(
        process,
        'write',
        `actions of shard ${shard}`,
        () => state.setActions(shard, owner, actions, () => true) !== null,
      ),
    readPending: (shard, after, limit) =>
      network.call(process, 'read', `pending actions of shard ${shard}`, () =>
        ofShard(shard)
          .filter((one) => isPending(one) && !isOver(one) && (after === null || one.order.id > after))
          .sort((a, b) => (a.order.id < b.order.id ? -1 : 1))
          .slice(0, limit),
      ),
    readDead: (query) => network.call(process, 'read', `dead letters of shard ${query.shard}`, () => dead(query)),
    readDeadOf: (shard, id) =>
      network.call(process, 'read', `dead letter ${id}`, () => {
        const one = state.standing(shard)?.actions.get(id);
        return one?.state === 'dead' ? one : null;
      }),
  };
}

function newerFirst(a: StoredAction, b: StoredAction): number {
  return b.changedAt - a.changedAt || (a.order.id < b.order.id ? 1 : a.order.id > b.order.id ? -1 : 0);
}
