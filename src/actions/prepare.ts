import type { ActionOrder } from '../model/action.ts';
import { decodeVisitor } from '../model/codec.ts';
import type { Visitor } from '../model/visitor.ts';
import type { Bundles } from '../playbook/bundles.ts';
import type { ActiveBundles, Catalog, Playbook } from '../playbook/playbook.ts';
import type { StateStore } from '../state/stateStore.ts';
import type { OutgoingMessage } from './destination.ts';

/** The pure parts of deciding that a message needs before it leaves. */
export interface MessageParts {
  /** Looks again: the reason of a message may be gone since it was asked for. */
  readonly stillWanted: (
    visitor: Visitor,
    order: ActionOrder,
    bundles: ActiveBundles,
    now: number,
  ) => { readonly wanted: true } | { readonly wanted: false; readonly reason: string };
  /** null: the playbook has no such action. */
  readonly renderMessage: (
    order: ActionOrder,
    playbook: Playbook,
    catalog: Catalog,
  ) => Pick<OutgoingMessage, 'payload' | 'mail'> | null;
}

export type Prepared =
  | { readonly what: 'ready'; readonly message: OutgoingMessage }
  | { readonly what: 'unwanted'; readonly reason: string }
  | { readonly what: 'invalid'; readonly detail: string };

/**
 * Makes a message ready to leave now: its visitor is read anew, its condition asked again, its text made by the playbook that asked for it.
 * @throws UsherError when the state does not answer, or lacks a bundle
 */
export async function prepare(
  order: ActionOrder,
  shard: number,
  services: {
    readonly store: Pick<StateStore, 'readMeta' | 'readProfile'>;
    readonly bundles: Bundles;
    readonly parts: MessageParts;
    readonly now: number;
  },
): Promise<Prepared> {
  const { store, bundles, parts, now } = services;
  const [meta, stored] = await Promise.all([store.readMeta(shard), store.readProfile(shard, order.visitor)]);
  if (stored === null) return { what: 'unwanted', reason: 'its visitor is gone' };
  // Without an active playbook nothing can be asked again, and nothing was ever ordered.
  if (meta?.active == null) return { what: 'unwanted', reason: 'no playbook is active' };
  const active = await bundles.load(meta.active.playbook, meta.active.catalog);
  const visitor = decodeVisitor(stored.profile, stored.slots);
  const answer = parts.stillWanted(visitor, order, active, now);
  if (!answer.wanted) return { what: 'unwanted', reason: answer.reason };
  const asked = await bundles.loadPlaybook(order.playbook);
  try {
    const rendered = parts.renderMessage(order, asked, active.catalog);
    const { id, action, to } = order;
    if (rendered === null) return { what: 'invalid', detail: `the playbook that asked for it has no action ${action}` };
    const { payload, mail } = rendered;
    return {
      what: 'ready',
      message: { id, visitor: order.visitor, action, to, payload, mail, attemptAt: Math.floor(now) },
    };
  } catch (error) {
    return { what: 'invalid', detail: (error as Error).message };
  }
}
