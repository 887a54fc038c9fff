const names = [
  'schedules',
  'steps',
  'commits',
  'refused',
  'refused zombies',
  'request lost',
  'reply lost',
  'overtaken',
  'crashes',
  'sleeps',
  'rebalances',
  'rollbacks',
  'delays',
  'retries',
  'outputs',
  'copies',
  'folded',
  'duplicate',
  'held',
  'timersFired',
  'failed',
  'moves',
  'merged',
  'forwarded',
  'repeatedMoves',
] as const;

/** How often each thing happened over many schedules: faults that never bite show nothing. */
export type Counts = { [name in (typeof names)[number]]: number };

export function noCounts(): Counts {
  return Object.fromEntries(names.map((name) => [name, 0])) as Counts;
}

/** A run in which one of these is 0 has shown nothing of it. */
export const faultsThatMustBite = [
  'refused zombies',
  'request lost',
  'reply lost',
  'overtaken',
  'crashes',
  'sleeps',
  'rebalances',
  'rollbacks',
  'delays',
  'retries',
  'outputs',
  'copies',
  'duplicate',
  'held',
  'timersFired',
  'merged',
  'forwarded',
  'repeatedMoves',
] as const satisfies readonly (keyof Counts)[];
