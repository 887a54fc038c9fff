/** Which records fold, and in which order: duplicates and holds (semantics 2.2–2.4), for sources that lose a few numbers at a time. */
export interface EventRecord {
  readonly v: 1;
  readonly kind: 'event';
  readonly id: string;
  readonly visitor: string;
  readonly type: string;
  readonly properties: { readonly [name: string]: unknown };
  readonly at?: number;
  readonly context?: { readonly timeZone?: string };
  readonly source?: string;
  readonly sequence?: number;
  readonly imported?: true;
}

export interface Arrived {
  readonly record: EventRecord;
  readonly offset: number;
  /** T of its own record. */
  readonly appendTime: number;
}

interface Source {
  readonly id: string;
  next: number;
  readonly missing: Set<number>;
  held: Arrived[];
}

const holdMs = 50;
const heldMost = 8;
const idsKept = 512;
const missingMost = 16;

/** The records of one visitor on their way to the fold, which `fold` is called with. */
export class Arrivals {
  readonly #ids: string[] = [];
  readonly #sources: Source[] = [];
  readonly #fold: (arrived: Arrived) => void;

  constructor(fold: (arrived: Arrived) => void) {
    this.#fold = fold;
  }

  arrive(arrived: Arrived): void {
    const { record } = arrived;
    if (record.source !== undefined) this.#arriveNumbered(arrived, record.source, record.sequence!);
    else if (!this.#ids.slice(-idsKept).includes(record.id)) {
      this.#ids.push(record.id);
      this.#fold(arrived);
    }
  }

  /** The hold that ends first, with the append time at which it does; null: nothing is held. */
  nextHold(): { readonly source: string; readonly wallDue: number } | null {
    const waiting = this.#sources.filter(({ held }) => held.length > 0);
    const ends = waiting.map((source) => ({ source: source.id, wallDue: firstHeld(source).appendTime + holdMs }));
    ends.sort((a, b) => a.wallDue - b.wallDue || (a.source < b.source ? -1 : 1));
    return ends[0] ?? null;
  }

  /** All that the source holds is folded; the numbers of its gaps stay missing. */
  endHold(id: string): void {
    const source = this.#sources.find((each) => each.id === id)!;
    while (source.held.length > 0) this.#letGo(source);
  }

  #arriveNumbered(arrived: Arrived, id: string, number: number): void {
    let source = this.#sources.find((each) => each.id === id);
    if (source === undefined) {
      if (number > 9)
        throw new Error(`the model knows sources that begin with 1 to 9 only; ${id} begins with ${number}`);
      source = { id, next: 1, missing: new Set(), held: [] };
      this.#sources.push(source);
    }
    if (number === source.next) {
      source.next++;
      this.#fold(arrived);
      while (source.held[0]?.record.sequence === source.next) this.#letGo(source);
    } else if (number < source.next) {
      if (source.missing.delete(number)) this.#fold(arrived);
    } else if (!source.held.some(({ record }) => record.sequence === number)) {
      source.held.push(arrived);
      source.held.sort((a, b) => a.record.sequence! - b.record.sequence!);
      if (this.#sources.reduce((sum, { held }) => sum + held.length, 0) > heldMost) this.#releaseAll();
    }
  }

  #releaseAll(): void {
    const waiting = this.#sources.filter(({ held }) => held.length > 0);
    waiting.sort((a, b) => firstHeld(a).offset - firstHeld(b).offset);
    for (const { id } of waiting) this.endHold(id);
  }

  #letGo(source: Source): void {
    const arrived = source.held.shift()!;
    const number = arrived.record.sequence!;
    for (; source.next < number; source.next++) source.missing.add(source.next);
    source.next = number + 1;
    if (source.missing.size > missingMost)
      throw new Error(`source ${source.id} misses more numbers than the model knows`);
    this.#fold(arrived);
  }
}

function firstHeld({ held }: Source): Arrived {
  return held.reduce((first, each) => (each.offset < first.offset ? each : first));
}
