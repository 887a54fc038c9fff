/** What is taken for a visitor that was never stored. */
const newVisitorBytes = 500;

/**
 * How large the next commit will be, as far as can be told before it is encoded: the stored texts of the visitors that were touched,
 * each once, and the records folded into them. Encoding after every record to know it exactly would cost more than folding does.
 */
export class CommitSize {
  readonly #maxKnown: number;
  readonly #stored = new Map<string, number>();
  readonly #touched = new Set<string>();
  #bytes = 0;

  constructor(maxKnown: number) {
    this.#maxKnown = maxKnown;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The visitor's texts have this length in the store. */
  stored(visitor: string, length: number): void {
    // Forgotten sizes are only guessed at; the oldest are those of visitors not in memory any more.
    if (this.#stored.size >= this.#maxKnown && !this.#stored.has(visitor)) {
      this.#stored.delete(this.#stored.keys().next().value!);
    }
    this.#stored.set(visitor, length);
  }

  /** The visitor will be part of the commit, and these bytes of records with it. */
  touch(visitor: string, recordBytes: number): void {
    this.#bytes += recordBytes;
    if (this.#touched.has(visitor)) return;
    this.#touched.add(visitor);
    this.#bytes += this.#stored.get(visitor) ?? newVisitorBytes;
  }

  committed(): void {
    this.#touched.clear();
    this.#bytes = 0;
  }
}
