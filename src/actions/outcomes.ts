import type { DeliveryOutcome } from './destination.ts';

const detailMax = 500;

/** Text of the other side as one short line: it goes into logs, dead letters and terminals. */
export function oneLine(text: string, most = detailMax): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: taking them out is the point
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').trim();
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}

export const delivered = (detail: string): DeliveryOutcome => ({ kind: 'delivered', detail: oneLine(detail) });
export const refused = (detail: string): DeliveryOutcome => ({ kind: 'refused', detail: oneLine(detail) });
export const unknown = (detail: string): DeliveryOutcome => ({ kind: 'unknown', detail: oneLine(detail) });
export const retry = (detail: string, afterMs: number | null = null): DeliveryOutcome => ({
  kind: 'retry',
  detail: oneLine(detail),
  ...(afterMs !== null && { afterMs }),
});

/** What `deliver` answers once the destination is closed. */
export const closed = retry('the destination is closed');

/** Attempts under way, so that `close` can wait for them. */
export class Underway {
  readonly #attempts = new Set<Promise<unknown>>();
  #isClosed = false;

  /** Runs the attempt, whose own failures are faults of ours: they are told, and tried again. */
  async run(attempt: () => Promise<DeliveryOutcome>): Promise<DeliveryOutcome> {
    if (this.#isClosed) return closed;
    const running = attempt().catch((error: Error) => retry(`a fault of Usher: ${error.message}`));
    this.#attempts.add(running);
    try {
      return await running;
    } finally {
      this.#attempts.delete(running);
    }
  }

  /** Lets no more begin; resolves when the last has ended. */
  async end(): Promise<void> {
    this.#isClosed = true;
    while (this.#attempts.size > 0) await Promise.allSettled(this.#attempts);
  }
}
