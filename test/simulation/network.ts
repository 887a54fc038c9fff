import { type ErrorCode, UsherError } from '../../src/errors.ts';
import type { SimulatedProcess } from './process.ts';
import type { Steps } from './steps.ts';

/** Long enough for the caller's next attempt. */
const overtakenMs = 150;

/** What may happen to a call, each with the same error for the caller. */
export const callFaults = ['request lost', 'reply lost', 'overtaken'] as const;
export type CallFault = (typeof callFaults)[number];

export const callKinds = ['write', 'read', 'log', 'output'] as const;
export type CallKind = (typeof callKinds)[number];

const codes = {
  write: 'STATE_UNAVAILABLE',
  read: 'STATE_UNAVAILABLE',
  log: 'LOG_UNAVAILABLE',
  output: 'OUTPUT_UNAVAILABLE',
} as const satisfies { readonly [kind in CallKind]: ErrorCode };

/**
 * Calls between processes and engines: the request arrives in one step, the answer in another, and each may be lost. A call that is
 * `overtaken` fails at once for its caller; its request arrives whenever it does, also after the caller's next.
 */
export class Network {
  readonly #steps: Steps;
  readonly #count: (fault: CallFault) => void;
  #faults: { readonly kind: CallKind; readonly fault: CallFault }[] = [];

  constructor(steps: Steps, count: (fault: CallFault) => void) {
    this.#steps = steps;
    this.#count = count;
  }

  /** The next call of this kind meets the fault. */
  fail(kind: CallKind, fault: CallFault): void {
    this.#faults.push({ kind, fault });
  }

  heal(): void {
    this.#faults = [];
  }

  call<T>(from: SimulatedProcess, kind: CallKind, name: string, execute: () => T): Promise<T> {
    const fault = this.#faultOf(kind);
    return new Promise<T>((resolve, reject) => {
      const answer = (label: string, run: () => void) =>
        this.#steps.add({ kind, label: `${from.name} ${label}`, process: from, run });
      const failed = () => {
        answer(`hears nothing of ${name} (${fault})`, () => reject(new UsherError(codes[kind], `${name}: ${fault}`)));
      };
      const request = () => {
        if (fault === 'request lost') return failed();
        let told: () => void;
        try {
          const result = execute();
          told = () => resolve(result);
        } catch (error) {
          if (!(error instanceof UsherError)) throw error;
          told = () => reject(error);
        }
        if (fault === 'reply lost') failed();
        else if (fault === null) answer(`hears of ${name}`, told);
      };
      const label = `${name} by ${from.name} arrives`;
      if (fault !== 'overtaken') this.#steps.add({ kind, label, process: null, run: request });
      else {
        failed();
        this.#steps.add({ kind, label, process: null, notBefore: this.#steps.now + overtakenMs, run: request });
      }
    });
  }

  #faultOf(kind: CallKind): CallFault | null {
    const index = this.#faults.findIndex((each) => each.kind === kind);
    if (index < 0) return null;
    const { fault } = this.#faults.splice(index, 1)[0]!;
    this.#count(fault);
    return fault;
  }
}
