import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.ts';
import type { ReplayReport } from '../../src/cli/replay/report.ts';
import { readPlaybook } from '../../src/playbook/read.ts';
import { abandonedPlaybook, activityOfDump, askAbandoned, firingsOf, sessionEnds } from '../support/abandoned.ts';
import type { Firing } from '../support/cartHistory.ts';
import { recordedIo } from '../support/cliIo.ts';
import { adapters, describePair } from '../support/pair.ts';
import { describeWithSample, ottoSample, rees46Sample } from '../support/samples.ts';
import { startWhole, type WholeUsher } from '../support/startWhole.ts';
import { dumpFolder, dumpTopic } from '../support/topicDump.ts';

const shards = 4;

describePair('carts abandoned in a replayed log, against a script that shares no code with Usher', () => {
  describeWithSample('of three hours of a real shop', rees46Sample, (file) => {
    it('are the same visitors at the same moments, as far as --finish moved time, also after a restart', async () => {
      await using shop = await Shop.open({ after_5m: '5m', after_10m: '10m' });
      await shop.replay(file, '--format', 'rees46');
      // Who waits in the state that one process left is told by the next one.
      await shop.restart();
      const script = (...args: string[]) => askAbandoned(file, '--format', 'rees46', ...args);

      await shop.replay(file, '--format', 'rees46', '--finish');
      const atEnd = await shop.firings();
      expectSame(atEnd.of('after_5m'), await script('--wait', '5m', '--finish'), 51);
      expectSame(atEnd.of('after_10m'), await script('--wait', '10m', '--finish'), 37);
      expectSame(atEnd.sessions, await script('--ended', 'sessions', '--finish'), 634);

      await shop.replay(file, '--format', 'rees46', '--finish', '5m');
      expectSame((await shop.firings()).of('after_5m'), await script('--wait', '5m', '--finish', '5m'), 63);
      await shop.replay(file, '--format', 'rees46', '--finish', '10m');
      const beyond = await shop.firings();
      expectSame(beyond.of('after_10m'), await script('--wait', '10m', '--finish', '10m'), 54);
      await shop.expectState(beyond.all);
    }, 300_000);
  });

  describeWithSample('of twenty visitors of another shop', ottoSample, (file) => {
    it('are the same visitors at the same moments', async () => {
      await using shop = await Shop.open({ after_30m: '30m' });
      await shop.replay(file, '--format', 'otto', '--finish');
      const atEnd = await shop.firings();
      expectSame(atEnd.of('after_30m'), await askAbandoned(file, '--format', 'otto', '--wait', '30m', '--finish'), 19);
      await shop.expectState(atEnd.all);
    }, 120_000);
  });
});

function expectSame(actual: readonly Firing[], expected: readonly Firing[], count: number): void {
  expect(actual).toEqual(expected);
  expect(actual).toHaveLength(count);
}

/** An Usher with a rule for each wait. */
class Shop {
  #usher: WholeUsher;
  /** Cleans up what all that came after it left. */
  readonly #first: WholeUsher;
  readonly #folder: string;
  readonly #rules: readonly string[];
  /** What the reports told together. */
  #rulesFired = 0;

  static async open(waits: Readonly<Record<string, string>>): Promise<Shop> {
    const folder = await mkdtemp(join(tmpdir(), 'usher-abandoned-'));
    await writeFile(join(folder, 'playbook.yaml'), abandonedPlaybook(waits));
    // Two hundred visitors' slots are asked for at once: none is to be answered with a fallback for want of time.
    const config = { playbook: folder, shards, slotsDeadlineMs: 10_000 };
    return new Shop(await startWhole(config), folder, Object.keys(waits));
  }
  private constructor(usher: WholeUsher, folder: string, rules: readonly string[]) {
    this.#usher = usher;
    this.#first = usher;
    this.#folder = folder;
    this.#rules = rules;
  }

  async replay(file: string, ...more: readonly string[]): Promise<void> {
    const io = recordedIo();
    const args = ['replay', file, ...more, '--json', '--url', this.#usher.url, '--key', this.#usher.devKey!];
    expect(await runCli(args, io), io.errLines.join('\n')).toBe(0);
    const report: ReplayReport = JSON.parse(io.outLines.join('\n'));
    expect(report).toMatchObject({ refused: {}, accepted: report.rows, fold: { failed: 0, ruleErrors: 0 } });
    this.#rulesFired += report.fold.rulesFired;
  }

  async restart(): Promise<void> {
    await this.#usher.stop();
    this.#usher = await this.#usher.restart();
  }

  /** What the log that is there now makes of each rule, and of sessions: the moments are nowhere in the state. */
  async firings() {
    const dump = join(this.#folder, 'log.jsonl');
    const { config } = this.#usher;
    if (adapters === 'embedded') await dumpFolder(config.data, shards, dump);
    else await dumpTopic(config.kafkaBrokers[0]!, `${config.namespace}.g1.events`, dump);
    const activity = await activityOfDump(dump, shards, await readPlaybook(this.#folder));
    const of = (rule: string) => firingsOf(activity, rule);
    return { of, sessions: sessionEnds(activity), all: new Map(this.#rules.map((rule) => [rule, of(rule)])) };
  }

  /** What the workers told and stored as they went: as many firings, and each of these visitors, and no other, sees what the rule shows. */
  async expectState(all: ReadonlyMap<string, readonly Firing[]>): Promise<void> {
    const shown = new Map<string, string[]>(this.#rules.map((rule) => [rule, []]));
    const query = `query ($shard: Int!, $after: ID) { visitors(shard: $shard, after: $after, first: 200) {
      end visitors { id slots { name stale content { id } } } } }`;
    for (let shard = 0; shard < shards; shard++) {
      for (let after: string | null = null; ; ) {
        const { data, errors } = await this.#usher.query(query, { shard, after }, this.#usher.devKey!);
        expect(errors).toBeUndefined();
        for (const { id, slots } of data.visitors.visitors) {
          for (const { name, stale, content } of slots) {
            expect(stale).toBe(false);
            if (content.id === name) shown.get(name)!.push(id);
          }
        }
        after = data.visitors.end;
        if (after === null) break;
      }
    }
    for (const [rule, firings] of all) {
      expect(shown.get(rule)!.sort()).toEqual([...new Set(firings.map(([visitor]) => visitor))].sort());
    }
    expect(this.#rulesFired).toBe([...all.values()].reduce((sum, firings) => sum + firings.length, 0));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#usher.stop();
    await this.#first[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true });
  }
}
