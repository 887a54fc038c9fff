import type { Json } from '../../model/json.ts';
import type { ShardCounters } from '../../model/shardMeta.ts';
import type { VisitorCounts } from '../../model/visitor.ts';

/** A visitor as conditions see it. */
export interface SegmentAnswer {
  readonly id: string;
  readonly name: string;
  readonly condition: string;
  readonly size: number;
}

export interface VisitorSegmentAnswer {
  readonly id: string;
  readonly name: string;
  /** Event time, ms. */
  readonly since: number;
}

export interface VisitorAnswer {
  readonly id: string;
  readonly visitor: Json;
  readonly session: Json;
  readonly cart: {
    readonly id: number;
    readonly value: number;
    readonly lines: readonly { readonly productId: string; readonly quantity: number; readonly price: number }[];
  };
  readonly traits: Json;
  readonly consent: Json;
  readonly segments: readonly VisitorSegmentAnswer[];
  readonly counts: VisitorCounts;
}

export interface VisitorPageAnswer {
  readonly visitors: readonly VisitorAnswer[];
  readonly end: string | null;
}

export interface RuleInfoAnswer {
  readonly id: string;
  readonly name: string;
  readonly sentence: string;
  readonly status: string;
  readonly priority: number;
}

export interface ShardStatusAnswer {
  readonly shard: number;
  /** Name of the worker; null: nobody has it yet. */
  readonly owner: string | null;
  readonly epoch: number;
  readonly rebuilding: boolean;
  readonly playbookVersion: string | null;
  readonly position: number;
  readonly end: number;
  readonly counters: ShardCounters;
}
