import { setTimeout as sleep } from 'node:timers/promises';
import { it } from 'vitest';

/** One promise of a port, to be kept by every adapter. Cases are data, so that a test can run them against a broken adapter. */
export interface ContractCase<Subject> {
  readonly name: string;
  run(subject: Subject): Promise<void>;
}

/** Runs every case against a subject of its own. */
export function runContract<Subject extends { close(): Promise<void> }>(
  cases: readonly ContractCase<Subject>[],
  open: () => Promise<Subject>,
): void {
  for (const one of cases) it(one.name, () => runCase(one, open));
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

/** Waits for something that will come to be; fails, saying what, when it does not. Far longer than anything takes: what is late is not what these tests are about. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, mostS = 30): Promise<void> {
  const end = performance.now() + mostS * 1_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited ${mostS} s until ${what}`);
    await sleep(1);
  }
}
