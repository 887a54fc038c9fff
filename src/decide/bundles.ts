import type { Catalog, Playbook } from '../playbook/playbook.ts';

/** A playbook and a catalog that are active together (semantics 6.1). */
export interface ActiveBundles {
  readonly playbook: Playbook;
  readonly catalog: Catalog;
}

/** A session's idle limit before a playbook says another, ms. */
export const defaultSessionIdleMs = 30 * 60_000;
