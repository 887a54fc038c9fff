import { type ActionOrder, actionsTopic } from '../../src/model/action.ts';
import type { TestBundles } from './bundles.ts';
import { type Cut, FoldShard, wholeLog } from './foldShard.ts';

/** A Wednesday, 12:00 in Berlin, where it is winter. */
export const noon = Date.UTC(2026, 10, 25, 11);

/** One shard whose records say what somebody does, each with a time from `noon` on. */
export class Shop {
  readonly shard: FoldShard;
  readonly #catalog: string;
  #n = 0;

  constructor(bundles: TestBundles, playbook: string, catalog: string, cut: Cut = wholeLog) {
    this.#catalog = catalog;
    this.shard = new FoldShard(bundles, { cut });
    this.activate(playbook, 0);
  }

  activate(version: string, at: number): this {
    const record = {
      v: 1,
      kind: 'activate',
      id: `a${this.#n++}`,
      playbook: version,
      catalog: this.#catalog,
      foldVersion: 1,
    };
    this.shard.append(record, noon + at);
    return this;
  }
  /** @param more members of the record; `appended`: its stamp, if that is later than the event */
  did(type: string, properties: object, at: number, more: object = {}, appended = at): this {
    const id = `e${this.#n++}`;
    const record = { v: 1, kind: 'event', id, visitor: 'u:ann', type, properties, at: noon + at, ...more };
    this.shard.append(record, noon + appended);
    return this;
  }
  profile(email = 'ann@example.com', at = 0): this {
    return this.did('profile_updated', { email, name: 'Ann' }, at);
  }
  consent(granted: boolean, at = 0): this {
    return this.did('consent_changed', { purpose: 'marketing', granted }, at);
  }
  added(productId: string, at: number, more: object = {}): this {
    return this.did('cart_item_added', { productId, quantity: 1 }, at, more);
  }
  tick(at: number): this {
    this.shard.append({ v: 1, kind: 'tick', id: `t${this.#n++}` }, noon + at);
    return this;
  }
  get orders(): readonly ActionOrder[] {
    this.shard.fold();
    return this.shard.outbox.flatMap(({ topic, value }) => (topic === actionsTopic ? [JSON.parse(value)] : []));
  }
  get counted(): { readonly ordered: number; readonly delayedOrders: number; readonly withheld: number } {
    const { ordered, delayedOrders, withheld } = this.shard.fold().meta.counters;
    return { ordered, delayedOrders, withheld };
  }
  get shown(): string | undefined {
    return this.shard.fold().visitor('u:ann')!.slots['side']?.candidates[0]?.content;
  }
}
