import { randomUUID } from 'node:crypto';
import { UsherError } from '../errors.ts';
import { foldVersion } from '../fold/fold.ts';
import type { EventLog } from '../log/eventLog.ts';
import type { Activation } from '../model/shardMeta.ts';
import { bundleHash } from '../playbook/compile.ts';
import type { StateStore } from '../state/stateStore.ts';

/** A playbook and its catalog as they are stored. */
export interface BundleTexts {
  readonly playbookText: string;
  readonly catalogText: string;
}

/**
 * Switches shards to a playbook and a catalog: stores the two under their hashes, then appends an `activate` record to each
 * shard named (semantics 6.1). The bundles are there before any record names them, so no worker ever waits for one.
 * @throws UsherError LOG_UNAVAILABLE when a shard's log did not take the record; calling again is safe
 */
export async function activate(
  services: { readonly log: EventLog; readonly store: StateStore },
  bundle: BundleTexts,
  shards: readonly number[],
): Promise<{ playbook: string; catalog: string }> {
  const { playbook, catalog } = hashesOf(bundle);
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

/** The shards that run something else, as far as they are folded. Two processes that ask at once both activate: harmless. */
export async function shardsBehind(
  { log, store }: { readonly log: EventLog; readonly store: StateStore },
  bundle: BundleTexts,
): Promise<readonly number[]> {
  const wanted = hashesOf(bundle);
  const shards = Array.from({ length: log.shards }, (_, shard) => shard);
  const metas = await Promise.all(shards.map((shard) => store.readMeta(shard)));
  return shards.filter((shard) => !isActive(metas[shard]?.active ?? null, wanted));
}

function isActive(active: Activation | null, wanted: { readonly playbook: string; readonly catalog: string }): boolean {
  return active?.playbook === wanted.playbook && active.catalog === wanted.catalog;
}

function hashesOf({ playbookText, catalogText }: BundleTexts): { playbook: string; catalog: string } {
  return { playbook: bundleHash(playbookText), catalog: bundleHash(catalogText) };
}
