import type { Machine } from '../../src/worker/machine.ts';
import { seededRandom } from '../support/random.ts';
import type { Steps } from './steps.ts';

/** A process of the cluster, from its start to its death. */
export class SimulatedProcess {
  /** `b2`: the second process that runs in place b. */
  readonly name: string;
  readonly machine: Machine;
  asleep = false;
  /** It was asleep once: what it does about shards that others have by now is a zombie's. */
  hasSlept = false;
  dead = false;

  /** @param aheadMs how far its clock is ahead of the world's */
  constructor(name: string, steps: Steps, aheadMs: number) {
    this.name = name;
    let ids = 0;
    this.machine = {
      name,
      now: () => steps.now + aheadMs,
      random: seededRandom([...name].reduce((sum, character) => sum * 31 + character.charCodeAt(0), 7)),
      randomId: () => `${name}-${ids++}`,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          signal.throwIfAborted();
          const onAbort = () => {
            steps.remove(step);
            reject(signal.reason);
          };
          const step = steps.add({
            kind: 'wait',
            label: `${name} has waited ${Math.round(ms)} ms`,
            process: this,
            notBefore: steps.now + ms,
            run: () => {
              signal.removeEventListener('abort', onAbort);
              resolve();
            },
          });
          signal.addEventListener('abort', onAbort, { once: true });
        }),
    };
  }
}
