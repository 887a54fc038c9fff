import { randomUUID } from 'node:crypto';
import { UsherError } from '../errors.ts';
import { foldVersion } from '../fold/fold.ts';
import type { EventLog } from '../log/eventLog.ts';
import type { Activation } from '../model/shardMeta.ts';
import { bundleHash } from '../playbook/compile.ts';
import type { StateStore } from '../state/stateStore.ts';

/** Names of a playbook and a catalog that are stored. */
export interface BundleHashes {
  readonly playbook: string;
  readonly catalog: string;
}

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
): Promise<BundleHashes> {
  const hashes = hashesOf(bundle);
  await services.store.putBundle(hashes.playbook, bundle.playbookText);
  await services.store.putBundle(hashes.catalog, bundle.catalogText);
  await appendActivations(services.log, hashes, shards);
  return hashes;
}

/** The switch itself; both bundles are stored already. @throws UsherError LOG_UNAVAILABLE; calling again is safe */
export async function appendActivations(
  log: EventLog,
  { playbook, catalog }: BundleHashes,
  shards: readonly number[],
): Promise<void> {
  const outcomes = await log.append(
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
}

/** The shards that run something else, as far as they are folded. Two processes that ask at once both activate: harmless. */
export async function shardsBehind(
  { log, store }: { readonly log: EventLog; readonly store: StateStore },
  wanted: BundleHashes,
): Promise<readonly number[]> {
  const shards = Array.from({ length: log.shards }, (_, shard) => shard);
  const metas = await Promise.all(shards.map((shard) => store.readMeta(shard)));
  return shards.filter((shard) => !isActive(metas[shard]?.active ?? null, wanted));
}

export function isActive(active: Activation | null, wanted: BundleHashes): boolean {
  return active?.playbook === wanted.playbook && active.catalog === wanted.catalog;
}

export function hashesOf({ playbookText, catalogText }: BundleTexts): BundleHashes {
  return { playbook: bundleHash(playbookText), catalog: bundleHash(catalogText) };
}
