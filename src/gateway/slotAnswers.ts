import { present } from '../fold/present.ts';
import { why } from '../fold/why.ts';
import type { Json, JsonObject } from '../model/json.ts';
import type { Cause, SlotsView } from '../model/visitor.ts';
import type { Bundles } from '../playbook/bundles.ts';
import type { Playbook, SlotDefinition } from '../playbook/playbook.ts';
import { encodeCursor } from './cursor.ts';
import type { SlotsState } from './slotReader.ts';

/** A slot as it is shown to one visitor. What costs something to make is made when it is asked for. */
export interface SlotAnswer {
  readonly name: string;
  readonly content: { readonly id: string; readonly type: string; readonly data: () => JsonObject };
  readonly source: 'RULE' | 'FALLBACK';
  readonly version: number;
  readonly cursor: () => string;
  readonly decidedAt: number | null;
  readonly expiresAt: number | null;
  readonly stale: boolean;
  readonly why: () => WhyAnswer;
  readonly rule: string | null;
  readonly cause: Cause | null;
}

export interface WhyAnswer {
  readonly sentence: string;
  readonly ruleId: string | null;
  readonly playbookVersion: string;
  readonly eventId: string | null;
  readonly facts: readonly { readonly name: string; readonly value: Json }[];
  readonly losers: readonly { readonly ruleId: string; readonly contentId: string; readonly reason: string }[];
}

export interface AnswerOptions {
  readonly playbook: () => Playbook;
  readonly bundles: Bundles;
  readonly now: () => number;
  readonly stale: boolean;
}

/** Cursors of a visitor's slots compare only within this: it changes with the shard's state and when the visitor is found new (semantics 4.5, 7.1). */
export function lineageOf({ view, shard }: SlotsState): string {
  return `${shard.lineage}.${view?.born ?? ''}`;
}
