import { setTimeout as sleep } from 'node:timers/promises';
import { describe, it } from 'vitest';

/** One promise of a port, to be kept by every adapter. Cases are data, so that a test can run them against a broken adapter. */
export interface ContractCase<Subject> {
  readonly name: string;
  run(subject: Subject): Promise<void>;
}

/** Runs every case against a subject of its own. What an adapter cannot do is skipped by name, with the reason. */
export function runContract<Subject extends { close(): Promise<void> }>(
  title: string,
  cases: readonly ContractCase<Subject>[],
  open: () => Promise<Subject>,
  skip: readonly { readonly reason: string; readonly cases: readonly string[] }[] = [],
): void {
  const reasons = new Map(skip.flatMap(({ reason, cases }) => cases.map((name) => [name, reason] as const)));
  for (const name of reasons.keys()) {
    if (!cases.some((one) => one.name === name))
      throw new Error(`${title} skips ${JSON.stringify(name)}, which is no case`);
  }
  describe(title, () => {
    for (const one of cases) {
      const reason = reasons.get(one.name);
      it(one.name, async (context) => {
        if (reason !== undefined) context.skip(reason);
        await runCase(one, open);
      });
    }
  });
}

/** One case, with the subject closed however it ends. */
export async function runCase<Subject extends { close(): Promise<void> }>(
  one: ContractCase<Subject>,
  open: () => Promise<Subject>,
): Promise<void> {
  const subject = await open();
  try {
    await one.run(subject);
  } finally {
    await subject.close();
  }
}

/** Waits for something that will come to be; fails, saying what, when it does not within 10 s. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, mostS = 10): Promise<void> {
  const end = performance.now() + mostS * 1_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited ${mostS} s until ${what}`);
    await sleep(1);
  }
}
