import { join } from 'node:path';
import { expect, it } from 'vitest';
import { askOracle } from '../support/oracle.ts';
import { describeWithSample, rees46Sample } from '../support/samples.ts';
import { type Kill, replayThroughKills } from './replayThroughKills.ts';
import { UsherProcess } from './usherProcess.ts';

const rows = 17_434;
const seed = Number(process.env['USHER_TEST_SEED'] ?? 20_191_001);

describeWithSample('a replay while the process is killed (kill -9) and started again', rees46Sample, (file) => {
  it('loses nothing and counts nothing twice through 20 kills with appends in flight', async () => {
    await using usher = await UsherProcess.start();
    const { report, kills, eventsPerSecondUp } = await replayThroughKills(usher, file, { kills: 20, seed });
    console.log(
      describeKills(kills),
      `${Math.round(eventsPerSecondUp)} events/s while up, ${report.fold.duplicate} duplicates`,
    );

    expect(kills).toHaveLength(20);
    expect(
      kills.filter(({ brokenCalls }) => brokenCalls === 0),
      'kills that found no call under way',
    ).toEqual([]);
    expect(
      kills.filter(({ unfolded }) => unfolded > 0).length,
      'kills between log append and commit',
    ).toBeGreaterThanOrEqual(3);
    // Some of the calls that got no answer were in the log already: sending them again made these.
    expect(report.fold.duplicate).toBeGreaterThan(0);
    expect(eventsPerSecondUp).toBeGreaterThanOrEqual(500);

    expect(report).toMatchObject({ accepted: rows, refused: {} });
    expect(report.fold).toMatchObject({ folded: rows, failed: 0, beyondWindow: 0, visitors: 4_504 });
    const { mismatches, visitors, output } = await askOracle(file, usher, '--finished-to', report.finishedTo!);
    expect([mismatches, visitors], output).toEqual([0, 4_504]);
  });

  it('would find a commit that is not atomic', async () => {
    await using usher = await UsherProcess.start(join(import.meta.dirname, 'plantedMain.ts'));
    const { report, kills } = await replayThroughKills(usher, file, { kills: 6, seed });
    const { mismatches, output } = await askOracle(file, usher, '--finished-to', report.finishedTo!);
    console.log(describeKills(kills), `planted: ${mismatches} mismatches`);
    expect(mismatches, output).toBeGreaterThan(0);
  });
});

function describeKills(kills: readonly Kill[]): string {
  return kills
    .map(
      ({ atRow, brokenCalls, unfolded }) => `row ${atRow}: ${brokenCalls} calls broken, ${unfolded} records not folded`,
    )
    .join('\n');
}
