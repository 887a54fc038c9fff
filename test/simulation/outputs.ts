import type { OutputEntry, Outputs } from '../../src/log/outputs.ts';
import type { Network } from './network.ts';
import type { SimulatedProcess } from './process.ts';

/** The topics for other systems: what was written to them, in order. */
export class SimulatedOutputs {
  readonly #written: (topic: string, entry: OutputEntry) => void;
  readonly #network: Network;

  /** @param written is called for each entry when its topic has it */
  constructor(network: Network, written: (topic: string, entry: OutputEntry) => void) {
    this.#network = network;
    this.#written = written;
  }

  /** The topics as a process sees them. */
  openFor(process: SimulatedProcess): Outputs {
    return {
      write: (topic, entries) =>
        this.#network.call(process, 'output', `${entries.length} entries for ${topic}`, () => {
          for (const entry of entries) this.#written(topic, entry);
        }),
      close: async () => {},
    };
  }
}
