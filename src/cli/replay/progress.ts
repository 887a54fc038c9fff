import type { CliIo } from '../command.ts';
import type { Tally } from './tally.ts';

const barEveryMs = 100;
const lineEveryMs = 5_000;
const barWidth = 30;

/** Shows how far a replay is: a bar on a terminal, now and then a line elsewhere. */
export class Progress {
  readonly #io: CliIo;
  readonly #tally: Tally;
  readonly #rows: number;
  readonly #startedAt = performance.now();
  readonly #timer: NodeJS.Timeout;

  constructor(io: CliIo, tally: Tally, rows: number) {
    this.#io = io;
    this.#tally = tally;
    this.#rows = rows;
    this.#timer = setInterval(() => this.#show(), io.isTTY ? barEveryMs : lineEveryMs);
  }

  #show(): void {
    const { settled, accepted, refusedRows, resent } = this.#tally;
    const share = this.#rows === 0 ? 1 : Math.min(1, settled / this.#rows);
    const perSecond = Math.round(settled / ((performance.now() - this.#startedAt) / 1000));
    const text = `${Math.floor(share * 100)} %  ${settled.toLocaleString('en')} of ${this.#rows.toLocaleString('en')} rows, ${perSecond.toLocaleString('en')}/s, ${accepted.toLocaleString('en')} accepted, ${refusedRows} refused, ${resent.toLocaleString('en')} again`;
    if (!this.#io.isTTY) {
      this.#io.err(text);
      return;
    }
    const full = Math.round(share * barWidth);
    this.#io.raw(`\r\u001b[2K${'█'.repeat(full)}${'░'.repeat(barWidth - full)} ${text}`);
  }

  /** Clears the bar. */
  end(): void {
    clearInterval(this.#timer);
    if (this.#io.isTTY) this.#io.raw('\r\u001b[2K');
  }
}
