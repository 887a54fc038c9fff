import { present, type Viewer } from '../fold/present.ts';
import { type WhyShown, why } from '../fold/why.ts';
import type { JsonObject } from '../model/json.ts';
import type { Cause, SlotsView } from '../model/visitor.ts';
import type { Bundles } from '../playbook/bundles.ts';
import type { Playbook, SlotDefinition } from '../playbook/playbook.ts';
import { encodeCursor } from './cursor.ts';
import type { NewestProducts } from './newestProducts.ts';
import type { SlotsState } from './slotReader.ts';

/** A slot as it is shown to one visitor. What costs something to make is made when it is asked for. */
export interface SlotAnswer {
  readonly name: string;
  readonly content: { readonly id: string; readonly type: string; readonly data: JsonObject };
  readonly source: 'RULE' | 'FALLBACK';
  readonly version: number;
  readonly cursor: () => string;
  readonly decidedAt: number | null;
  readonly expiresAt: number | null;
  readonly stale: boolean;
  readonly why: () => WhyShown;
  readonly rule: string | null;
  readonly cause: Cause | null;
}

export interface AnswerOptions {
  readonly viewer: Viewer;
  readonly playbook: () => Playbook;
  readonly bundles: Bundles;
  readonly products: NewestProducts;
  readonly now: () => number;
  readonly stale: boolean;
}

/** What the slot shows this visitor now. What it is shown with must be loaded (`loadShown`). */
export function answerSlot(definition: SlotDefinition, state: SlotsState, options: AnswerOptions): SlotAnswer {
  const { visitor, view, shard } = state;
  const slot = view?.slots[definition.name];
  const playbook = options.playbook();
  const playbooks = (version: string) => (version === playbook.version ? playbook : options.bundles.playbook(version));
  const presented = present(
    slot,
    definition,
    playbooks,
    { playbook, newest: options.products.of, ...options.viewer },
    options.now(),
  );
  const { winner } = presented;
  return {
    name: definition.name,
    content: presented.content,
    source: presented.source,
    version: slot?.version ?? 0,
    cursor: () =>
      encodeCursor({
        visitor,
        upTo: shard.position,
        slots: { lineage: lineageOf(state), version: view?.version ?? 0 },
      }),
    decidedAt: winner?.cause.at ?? null,
    expiresAt: winner?.expiresAt ?? null,
    stale: options.stale,
    why: () => why(presented, playbook, playbooks),
    rule: winner?.rule ?? null,
    cause: winner?.cause ?? null,
  };
}

/** Loads what these slots are shown with: playbooks, and products as they are now; null: it is there, as nearly always. */
export function loadShown(
  view: Pick<SlotsView, 'slots'>,
  definitions: readonly SlotDefinition[],
  { bundles, products }: Pick<AnswerOptions, 'bundles' | 'products'>,
): Promise<unknown> | null {
  const loading = [loadBundles(view, definitions, bundles), products.loadFor(view, definitions)];
  return loading.every((each) => each === null) ? null : Promise.all(loading);
}

/**
 * Loads the playbooks under which these slots were decided; null: they are there, as nearly always. One that cannot be loaded any more is left
 * out: its candidates are then not shown, and the slot has its fallback.
 */
export function loadBundles(
  view: Pick<SlotsView, 'slots'>,
  definitions: readonly SlotDefinition[],
  bundles: Bundles,
): Promise<unknown> | null {
  const missing = new Set<string>();
  for (const { name } of definitions) {
    for (const { playbook } of view.slots[name]?.candidates ?? []) {
      if (bundles.playbook(playbook) === null) missing.add(playbook);
    }
  }
  if (missing.size === 0) return null;
  return Promise.all([...missing].map((playbook) => bundles.loadPlaybook(playbook).catch(() => {})));
}

/** Cursors of a visitor's slots compare only within this: it changes with the shard's state and when the visitor is found new (semantics 4.5, 7.1). */
export function lineageOf({ view, shard }: SlotsState): string {
  return `${shard.lineage}.${view?.born ?? ''}`;
}

/** Whether versions of the two compare: also when the earlier one is of a visitor not known then, whose version was 0. */
export function isSameLineage(earlier: string, later: string): boolean {
  return earlier === later || (earlier.endsWith('.') && later.startsWith(earlier));
}
