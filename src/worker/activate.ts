import { randomUUID } from 'node:crypto';
import { UsherError } from '../errors.ts';
import { foldVersion } from '../fold/fold.ts';
import type { EventLog } from '../log/eventLog.ts';
import { bundleHash } from '../playbook/compile.ts';
import type { StateStore } from '../state/stateStore.ts';

/**
 * Switches shards to a playbook and a catalog: stores the two under their hashes, then appends an `activate` record to each
 * shard named (semantics 6.1). The bundles are there before any record names them, so no worker ever waits for one.
 * @throws UsherError LOG_UNAVAILABLE when a shard's log did not take the record; calling again is safe
 */
export async function activate(
  services: { readonly log: EventLog; readonly store: StateStore },
  bundle: { readonly playbookText: string; readonly catalogText: string },
  shards: readonly number[],
): Promise<{ playbook: string; catalog: string }> {
  const playbook = bundleHash(bundle.playbookText);
  const catalog = bundleHash(bundle.catalogText);
  await services.store.putBundle(playbook, bundle.playbookText);
  await services.store.putBundle(catalog, bundle.catalogText);
  const outcomes = await services.log.append(
    shards.map((shard) => ({
      shard,
      key: null,
      value: JSON.stringify({ v: 1, kind: 'activate', id: randomUUID(), playbook, catalog, foldVersion }),
    })),
  );
  outcomes.forEach((outcome, i) => {
    if (!outcome.ok)
      throw new UsherError('LOG_UNAVAILABLE', `shard ${shards[i]} did not take the activation: ${outcome.message}`);
  });
  return { playbook, catalog };
}
