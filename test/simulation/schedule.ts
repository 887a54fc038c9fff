import fc from 'fast-check';
import { type Line, lines } from '../support/logs.ts';
import { type CallFault, type CallKind, callFaults, callKinds } from './network.ts';

/** What happens to the simulated world from outside. Processes and shards are counted around: the last is followed by the first. */
export type Happening =
  | { readonly what: 'append'; readonly shard: number; readonly line: Line }
  | { readonly what: 'retry'; readonly shard: number; readonly failed: number }
  /** A visitor becomes a known user, or the user itself does something. */
  | { readonly what: 'identify'; readonly of: number; readonly user: number }
  | { readonly what: 'user'; readonly user: number; readonly line: Line }
  | { readonly what: 'pass'; readonly ms: number }
  | { readonly what: 'log clock'; readonly ms: number }
  | { readonly what: 'crash'; readonly process: number; readonly to: number }
  | { readonly what: 'sleep'; readonly process: number; readonly to: number | null }
  | { readonly what: 'wake'; readonly process: number }
  | { readonly what: 'rebalance'; readonly shard: number; readonly to: number }
  | { readonly what: 'fail over'; readonly shard: number; readonly steps: number }
  | { readonly what: 'fail'; readonly kind: CallKind; readonly fault: CallFault }
  | { readonly what: 'delay'; readonly call: number; readonly ms: number };

export interface Command {
  readonly happening: Happening;
  /** How many steps are taken after it, and which: 0 is always the oldest. */
  readonly steps: number;
  readonly order: number;
}

export interface Schedule {
  readonly processes: number;
  readonly shards: number;
  /** Batches and commits so small that most are cut, or those of production. */
  readonly limits: 'small' | 'production';
  readonly commands: readonly Command[];
}

const place = fc.nat(2);
const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 22, arbitrary: fc.record({ what: fc.constant('append' as const), shard: place, line: lines }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('retry' as const), shard: place, failed: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('identify' as const), of: fc.nat(3), user: fc.nat(1) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('user' as const), user: fc.nat(1), line: lines }) },
  {
    weight: 5,
    arbitrary: fc.record({
      what: fc.constant('pass' as const),
      // Within a hold, around its end, past a back-off, a slot's `for`, a session and a retention.
      ms: fc.constantFrom(1, 7, 49, 51, 200, 5_000, 301_000, 601_000, 1_801_000, 7_300_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('log clock' as const), ms: fc.constantFrom(-40, 0, 60) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('crash' as const), process: place, to: place }) },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constant('sleep' as const), process: place, to: fc.option(place, { freq: 4 }) }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('wake' as const), process: place }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('rebalance' as const), shard: place, to: place }) },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant('fail over' as const),
      shard: place,
      steps: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      what: fc.constant('fail' as const),
      kind: fc.constantFrom(...callKinds, 'write', 'write'),
      fault: fc.constantFrom(...callFaults),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constant('delay' as const), call: fc.nat(5), ms: fc.constantFrom(30, 2_000) }),
  },
);

export const schedules: fc.Arbitrary<Schedule> = fc.record({
  processes: fc.constantFrom(2, 3),
  shards: fc.constantFrom(2, 3),
  limits: fc.oneof({ weight: 3, arbitrary: fc.constant('small' as const) }, fc.constant('production' as const)),
  commands: fc.array(fc.record({ happening, steps: fc.nat(16), order: fc.nat(0xffff) }), {
    minLength: 1,
    maxLength: 60,
    size: 'max',
  }),
});
