import type { Reporter, TestModule } from 'vitest/node';

/**
 * Holds that the pairs of adapters are tested alike: says how many tests of each passed, and with CI=true fails the run when one pair ran
 * a test that the other did not.
 */
export default class PairsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const [embedded, clustered] = ['embedded', 'clustered'].map((pair) => passedIn(modules, pair)) as [
      string[],
      string[],
    ];
    if (embedded.length === 0 && clustered.length === 0) return;
    console.log(`passed over both pairs of adapters: ${embedded.length} embedded, ${clustered.length} clustered`);
    const alone = [...without(embedded, clustered), ...without(clustered, embedded)];
    if (alone.length === 0 || process.env['CI'] !== 'true') return;
    console.error(`passed over one pair of adapters alone:\n${alone.join('\n')}`);
    process.exitCode = 1;
  }
}

function passedIn(modules: readonly TestModule[], pair: string): string[] {
  return modules
    .filter(({ project }) => project.name === pair)
    .flatMap((module) =>
      [...module.children.allTests('passed')].map((test) => `${module.relativeModuleId}: ${test.fullName}`),
    );
}

function without(list: readonly string[], other: readonly string[]): readonly string[] {
  const known = new Set(other);
  return list.filter((name) => !known.has(name));
}
