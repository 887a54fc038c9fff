import { join } from 'node:path';
import { foldRecord, foldVersion } from '../src/fold/fold.ts';
import { readRecord } from '../src/fold/record.ts';
import { defaultFoldSettings, ShardWork } from '../src/fold/work.ts';
import { noCounts, type ShardMeta } from '../src/model/shardMeta.ts';
import { readRightPlaybook } from '../src/playbook/read.ts';
import { median } from './measure.ts';
import { visit } from './visits.ts';

/** What folding one event takes, in memory: all of `foldRecord`, by the demo store's playbook. */
export interface FoldResult {
  readonly events: number;
  readonly microsPerEvent: number;
  /** Of the rules of that playbook, by one event. */
  readonly rulesPerEvent: number;
}

const visitors = 500;
/** As many changed visitors a commit has. */
const commitVisitors = 256;

/** Visits of 500 visitors at a time, event by event in turn, again and again by others. */
export async function fold(rounds: number): Promise<FoldResult> {
  const { playbook, catalog } = await readRightPlaybook(join(import.meta.dirname, '../playbooks/demo-store'));
  const active = { playbook: playbook.version, catalog: catalog.version, foldVersion };
  const shard = { shard: 0, shards: 1, owner: 'bench', epoch: 1, lineage: 'l', commit: 'c', position: 0, outputs: 0 };
  const state = { copied: 0, commits: 0, rebuilding: false, appendTime: 0, lastId: null, segments: {} };
  const meta: ShardMeta = { ...shard, ...state, active, counters: noCounts };
  const bundles = { playbook, catalog };
  const work = new ShardWork({ meta, active: bundles, bundles: () => bundles, settings: defaultFoldSettings });
  const micros: number[] = [];
  let offset = 0;
  // The first two rounds warm up.
  for (let round = 0; round < rounds + 2; round++) {
    const reads = [];
    for (const [n, [type, properties]] of visit.entries()) {
      for (let v = 0; v < visitors; v++) {
        const visitor = `u:${round}-${v}`;
        const stamp = Date.UTC(2026, 10, 23, 12) + offset * 7;
        const context = { url: 'https://shop.example/product/p_017', path: '/product/p_017', page: 'product' };
        const numbered = { source: `${v}`.padStart(16, '0'), sequence: n + 1, receivedAt: stamp };
        const value = {
          v: 1,
          kind: 'event',
          id: `${offset}`,
          visitor,
          type,
          properties,
          context,
          at: stamp,
          ...numbered,
        };
        reads.push(readRecord({ shard: 0, offset: offset++, stamp, key: visitor, value: JSON.stringify(value) }));
        work.setVisitor(visitor, null);
      }
    }
    // Nothing is stored, so all timers are known.
    work.setWakeups([], null, Number.POSITIVE_INFINITY);
    const from = performance.now();
    for (const read of reads) {
      if (foldRecord(work, read, { timers: Number.POSITIVE_INFINITY }) !== 'done') throw new Error('the fold stopped');
      if (work.changed >= commitVisitors) work.takeChanges();
    }
    if (round > 1) micros.push(((performance.now() - from) * 1_000) / reads.length);
    work.takeChanges();
    work.evict(0);
  }
  const { folded, rulesFired, failed, ruleErrors } = work.counters;
  if (folded !== offset || failed > 0) throw new Error(`folded ${folded} of ${offset} events, ${failed} failed`);
  if (ruleErrors > 0) throw new Error(`${ruleErrors} conditions failed`);
  return {
    events: micros.length * visitors * visit.length,
    microsPerEvent: median(micros),
    rulesPerEvent: rulesFired / folded,
  };
}

export function printFold({ events, microsPerEvent, rulesPerEvent }: FoldResult): void {
  const many = events.toLocaleString('en');
  console.log(
    `folding ${many} events by the demo store's playbook, ${rulesPerEvent.toFixed(2)} rules run an event: ${microsPerEvent.toFixed(1)} µs an event (aim: < 10)`,
  );
}
