import type { ModelCart, ModelTrait, Product, Seen, Value } from './facts.ts';
import type { Sequence } from './sequences.ts';

/** A playbook as the model has it: plain values and functions, in the words of docs/semantics.md. */
export interface ShopModel {
  readonly catalog: readonly Product[];
  readonly timeZone: string;
  readonly sessionIdle: number;
  readonly traits: { readonly [name: string]: ModelTrait };
  /** Each after those that it reads. */
  readonly segments: readonly ModelSegment[];
  readonly rules: readonly ModelRule[];
}

/** What a condition of a rule or segment sees. Reading what is not there throws. */
export interface Facts extends Seen {
  readonly now: number;
  readonly cart: ModelCart;
  readonly orders: number;
  /** null: none yet. */
  readonly lastOrderAt: number | null;
  readonly lastSearch: string;
  /** What the last page told; "": none did. */
  readonly timeZone: string;
  readonly idle: number;
  readonly session: { readonly pageViews: number };
  trait(name: string): Value;
  isIn(segment: string): boolean;
  /** The events that a sequence names. */
  named(name: string): Seen;
}

export interface ModelSegment {
  readonly id: string;
  readonly if: (facts: Facts) => boolean;
  /** Traits over windows that it reads. */
  readonly windows?: readonly string[];
  /** Instants at which a comparison with `now` turns. */
  readonly turns?: (facts: Facts) => number | null;
  /** An instant that is the same for everybody. */
  readonly calendar?: number;
  /** A score that it compares, and with what. */
  readonly score?: { readonly read: (facts: Facts) => number; readonly bound: number };
}

export type ModelTrigger =
  | { readonly on: readonly string[] }
  | { readonly spent: number }
  | { readonly sequence: Sequence }
  | {
      readonly absent: readonly string[];
      readonly since: readonly string[];
      readonly for: number;
      readonly key?: (facts: Facts) => Value;
    }
  | { readonly entered: readonly string[]; readonly left: readonly string[] };

export interface ModelLimit {
  readonly times: number;
  readonly per: 'visitor' | 'session' | 'day' | ((facts: Facts) => Value);
  readonly group?: string;
}

export interface ModelRule {
  readonly id: string;
  readonly when: ModelTrigger;
  readonly from?: number;
  readonly to?: number;
  /** Minutes of the day, and days of the week with 0 for Monday. */
  readonly hours?: { readonly from: number; readonly to: number; readonly days?: readonly number[] };
  readonly if?: (facts: Facts) => boolean;
  readonly unless?: (facts: Facts) => boolean;
  readonly cooldown?: number;
  readonly limit?: ModelLimit;
  readonly choose?: true;
  readonly priority?: number;
  readonly entries: readonly ModelEntry[];
}

export interface ModelShow {
  readonly slot: string;
  readonly content: string;
  readonly pinned?: true;
  readonly for?: number;
  readonly until?: number;
  readonly while?: (facts: Facts) => boolean;
}

export interface ModelEntry {
  readonly if?: (facts: Facts) => boolean;
  readonly show?: ModelShow;
  readonly set?: { readonly trait: string; readonly to: (facts: Facts) => Value };
}
