import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VisitorQueue } from '../../src/cli/replay/queue.ts';

interface Item {
  readonly visitor: string;
  readonly bytes: number;
  readonly n: number;
}
const roomy = { rows: 100, bytes: 1_000_000 };
const names = (batch: Item[]) => batch.map(({ visitor, n }) => `${visitor}${n}`);
const fill = (queue: VisitorQueue<Item>, ...items: string[]) => {
  items.forEach((item) => {
    queue.push({ visitor: item[0]!, n: Number(item.slice(1)), bytes: 10 });
  });
};

describe('the queue of rows', () => {
  it("keeps a visitor's next rows back until the batch with its former ones is answered", () => {
    const queue = new VisitorQueue<Item>();
    fill(queue, 'a1', 'b1', 'a2');
    const first = queue.take(roomy);
    expect(names(first)).toEqual(['a1', 'a2', 'b1']);
    fill(queue, 'a3', 'c1');
    const second = queue.take(roomy);
    expect(names(second)).toEqual(['c1']);
    expect(queue.take(roomy)).toEqual([]);
    queue.release(first);
    expect(names(queue.take(roomy))).toEqual(['a3']);
    expect(queue.size).toBe(0);
  });

  it('cuts a batch at the rows and at the bytes, and lets one row through that is larger than a batch', () => {
    const queue = new VisitorQueue<Item>();
    fill(queue, 'a1', 'b1', 'b2', 'c1');
    const first = queue.take({ rows: 2, bytes: 1_000 });
    expect(names(first)).toEqual(['a1', 'b1']);
    expect(names(queue.take({ rows: 10, bytes: 15 }))).toEqual(['c1']);
    queue.release(first);
    queue.push({ visitor: 'd', n: 1, bytes: 99 });
    expect(names(queue.take({ rows: 10, bytes: 15 }))).toEqual(['b2']);
    expect(names(queue.take({ rows: 10, bytes: 15 }))).toEqual(['d1']);
  });

  it('gives every row exactly once and in order, whatever is answered when', () => {
    const rows = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 60 });
    const steps = fc.array(fc.tuple(fc.nat(4), fc.nat(5), fc.boolean()), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(rows, steps, (visitors, plan) => {
        const queue = new VisitorQueue<Item>();
        const waiting = visitors.map((visitor, n) => ({ visitor, n, bytes: 10 }));
        const underWay: Item[][] = [];
        const answered: Item[] = [];
        const answer = (i: number) => {
          const [batch] = underWay.splice(i, 1);
          answered.push(...batch!);
          queue.release(batch!);
        };
        for (let step = 0; waiting.length + queue.size + underWay.length > 0; step++) {
          const [pushes, limit, answerFirst] = plan[step % plan.length]!;
          for (const item of waiting.splice(0, pushes + 1)) queue.push(item);
          const batch = queue.take({ rows: limit + 1, bytes: 35 });
          const busy = new Set(underWay.flat().map(({ visitor }) => visitor));
          expect(batch.some(({ visitor }) => busy.has(visitor))).toBe(false);
          if (batch.length > 0) underWay.push(batch);
          if (underWay.length > 0 && (answerFirst || batch.length === 0)) answer(step % underWay.length);
        }
        for (const name of ['a', 'b', 'c', 'd']) {
          const sent = answered.filter(({ visitor }) => visitor === name).map(({ n }) => n);
          expect(sent).toEqual(visitors.flatMap((visitor, n) => (visitor === name ? [n] : [])));
        }
      }),
    );
  });
});
