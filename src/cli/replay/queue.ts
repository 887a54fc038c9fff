/** Something of a visitor that must not overtake what came before it. */
export interface Queued {
  readonly visitor: string;
  /** UTF-8 bytes of it in a request. */
  readonly bytes: number;
}

/**
 * Rows waiting to be sent. A visitor whose rows are under way is passed over until they are answered, so that a visitor's
 * rows arrive in order though several batches are in flight. Visitors take turns in the order of their first waiting row.
 */
export class VisitorQueue<T extends Queued> {
  readonly #waiting = new Map<string, T[]>();
  /** Visitors with waiting rows and none under way; a Set keeps the order of insertion. */
  readonly #ready = new Set<string>();
  readonly #underWay = new Set<string>();
  #size = 0;

  /** Rows waiting, those under way not counted. */
  get size(): number {
    return this.#size;
  }

  get hasReady(): boolean {
    return this.#ready.size > 0;
  }

  push(item: T): void {
    this.#size++;
    const waiting = this.#waiting.get(item.visitor);
    if (waiting !== undefined) {
      waiting.push(item);
      return;
    }
    this.#waiting.set(item.visitor, [item]);
    if (!this.#underWay.has(item.visitor)) this.#ready.add(item.visitor);
  }

  /** The next batch, within both limits (one row goes even if it alone is over the bytes). Its visitors are under way until `release`. */
  take(limit: { readonly rows: number; readonly bytes: number }): T[] {
    const batch: T[] = [];
    let bytes = 0;
    for (const visitor of this.#ready) {
      const waiting = this.#waiting.get(visitor)!;
      let fits = 0;
      while (fits < waiting.length && batch.length < limit.rows) {
        const item = waiting[fits]!;
        if (batch.length > 0 && bytes + item.bytes > limit.bytes) break;
        batch.push(item);
        bytes += item.bytes;
        fits++;
      }
      if (fits === 0) break;
      this.#ready.delete(visitor);
      this.#underWay.add(visitor);
      if (fits === waiting.length) this.#waiting.delete(visitor);
      else waiting.splice(0, fits);
      if (batch.length >= limit.rows) break;
    }
    this.#size -= batch.length;
    return batch;
  }

  /** The batch was answered: its visitors' next rows may go. */
  release(batch: readonly T[]): void {
    for (const { visitor } of batch) {
      if (this.#underWay.delete(visitor) && this.#waiting.has(visitor)) this.#ready.add(visitor);
    }
  }
}
