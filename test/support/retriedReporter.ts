import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

/**
 * Names the tests that failed and then passed when they were tried again, with what they said the first time: a bound that a busy machine
 * broke once, or an error that comes and goes. Neither may stay unseen. With `outputFile` they stand there too, a text each.
 */
export default class RetriedReporter implements Reporter {
  readonly #outputFile: string | undefined;

  constructor(outputFile?: string) {
    this.#outputFile = outputFile;
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const retried = modules.flatMap((module) =>
      [...module.children.allTests('passed')]
        .filter((test) => test.diagnostic()?.flaky)
        .map((test) => {
          const reasons = test.result().errors?.map(({ message }) => message) ?? [];
          return `${module.project.name} ${module.relativeModuleId}: ${test.fullName}\n${reasons.join('\n')}`;
        }),
    );
    for (const each of retried) console.log(`passed when tried again: ${each}`);
    if (this.#outputFile !== undefined) writeFileSync(this.#outputFile, JSON.stringify(retried));
  }
}
