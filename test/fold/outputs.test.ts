import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FoldSettings } from '../../src/fold/work.ts';
import { actionsTopic } from '../../src/model/action.ts';
import { logTopic } from '../../src/model/commit.ts';
import { type Cut, type FoldShard, wholeLog } from '../support/foldShard.ts';
import { foldLog, logs, smallSettings } from '../support/logs.ts';

const ajv = new Ajv2020({ strict: true, strictRequired: false, allErrors: true });
const schemaAt = (path: string) =>
  ajv.compile(JSON.parse(readFileSync(new URL(`../../schema/${path}.v1.json`, import.meta.url), 'utf8')));
const schemas = {
  decisions: schemaAt('outputs/decisions'),
  failed: schemaAt('outputs/failed'),
  // What rules append is a record of the log.
  log: schemaAt('record'),
  // What they send is told by it too: a record may carry it again.
  actions: ajv.compile({ $ref: 'https://usher.example/schema/record.v1.json#/$defs/order' }),
};
/** They need no topic but the log, and who runs the actions. */
const own: readonly string[] = [logTopic, actionsTopic];
/** Every record by itself, a timer a commit, nothing kept in memory: as many partial commits as there can be. */
const finest: Cut = { batch: 1, timers: 1, page: 1, keep: 0 };

const withoutIds = ({ v: _v, id: _id, lineage: _l, eventId: _e, ...failed }: Record<string, unknown>) => failed;
const outputsOf = (shard: FoldShard) => shard.outbox.map(({ value }) => JSON.parse(value));

describe('the outputs of any log', () => {
  it('have the same ids and texts however the log is cut, partial commits included (9.1)', () => {
    let partial = 0;
    fc.assert(
      fc.property(logs(60), (log) => {
        const whole = foldLog(log, smallSettings, wholeLog);
        const cut = foldLog(log, smallSettings, finest);
        expect(cut.outbox).toEqual(whole.outbox);
        // Without these the numbers would not have to go on from one commit to the next.
        partial += cut.outbox.filter(({ id }) => !id.endsWith('-0')).length;
      }),
      { numRuns: 200 },
    );
    expect(partial).toBeGreaterThan(100);
  });

  it('have ids that ascend, as a stream takes them, and the numbers of a record have no gap', () => {
    fc.assert(
      fc.property(logs(60), (log) => {
        const ids = foldLog(log, smallSettings, finest).outbox.map(({ id }) => id.split('-').map(Number));
        ids.forEach(([offset, n], i) => {
          const [before, last] = ids[i - 1] ?? [-1, -1];
          expect(offset === before ? n : [offset! > before!, n]).toEqual(offset === before ? last! + 1 : [true, 0]);
        });
      }),
      { numRuns: 100 },
    );
  });

  it('tell every failed event, and every change of a slot with the version that it made', () => {
    fc.assert(
      fc.property(logs(60), (log) => {
        const shard = foldLog(log, smallSettings, wholeLog);
        const outputs = outputsOf(shard);
        const failed = outputs.filter((_, i) => shard.outbox[i]!.topic === 'failed');
        // Those that were retried since are failed events no more, but were told.
        expect(failed.length).toBe(shard.meta.counters.failed);
        expect(failed.map(withoutIds)).toEqual(expect.arrayContaining(shard.failed));
        const decisions = outputs.filter((_, i) => shard.outbox[i]!.topic === 'decisions');
        const { slotChanges } = shard.meta.counters;
        expect(decisions.reduce((sum, { slots }) => sum + slots.length, 0)).toBe(slotChanges);
        for (const [id] of shard.stored) expectLastTold(shard, id, decisions);
      }),
      { numRuns: 150 },
    );
  });

  it('are as their published schemas say', () => {
    fc.assert(
      fc.property(logs(60), (log) => {
        for (const { topic, value } of foldLog(log, smallSettings, wholeLog).outbox) {
          const check = schemas[topic as keyof typeof schemas];
          expect([check(JSON.parse(value)), check.errors, value]).toEqual([true, null, value]);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('are none where there is no topic for them', () => {
    fc.assert(
      fc.property(logs(30), (log) => {
        const topicsOf = (outputs: FoldSettings['outputs']) =>
          foldLog(log, { ...smallSettings, outputs }, wholeLog).outbox.map(({ topic }) => topic);
        expect(topicsOf([]).filter((topic) => !own.includes(topic))).toEqual([]);
        expect(topicsOf(['failed']).filter((topic) => !own.includes(topic) && topic !== 'failed')).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });
});

/** What the newest decision about each slot of the visitor says is what the state shows. */
function expectLastTold(
  shard: FoldShard,
  id: string,
  decisions: readonly { visitor: string; version: number; slots: { slot: string }[] }[],
): void {
  const visitor = shard.visitor(id)!;
  for (const [slot, { version, candidates }] of Object.entries(visitor.slots)) {
    const about = decisions.filter((one) => one.visitor === id && one.slots.some((told) => told.slot === slot)).at(-1)!;
    const winner = candidates[0];
    expect(about.version).toBe(version);
    expect(about.slots.find((told) => told.slot === slot)).toMatchObject({
      content: winner?.content ?? null,
      rule: winner?.rule ?? null,
      facts: Object.fromEntries(winner?.facts ?? []),
    });
  }
}
