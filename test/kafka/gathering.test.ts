import { describe, expect, it } from 'vitest';
import { Gathering, type Parts } from '../../src/kafka/gathering.ts';

const parts = (values: Readonly<Record<number, readonly string[]>>): Parts =>
  new Map(
    Object.entries(values).map(([partition, of]) => [
      Number(partition),
      of.map((value) => ({ key: null, value: Buffer.from(value) })),
    ]),
  );
const told = (sent: Parts) =>
  Object.fromEntries([...sent].map(([partition, messages]) => [partition, messages.map(({ value }) => String(value))]));

describe('what many shards write to one topic', () => {
  it('leaves in one request, each partition in the order of the writes', async () => {
    const requests: object[] = [];
    const gathering = new Gathering(1, async (sent) => void requests.push(told(sent)));
    await Promise.all([
      gathering.write(parts({ 0: ['a', 'b'], 1: ['c'] })),
      gathering.write(parts({ 0: ['d'] })),
      gathering.write(parts({ 2: ['e'] })),
    ]);
    expect(requests).toEqual([{ 0: ['a', 'b', 'd'], 1: ['c'], 2: ['e'] }]);
  });

  it('waits while a request is under way, and then leaves together', async () => {
    const requests: object[] = [];
    const answers: (() => void)[] = [];
    const gathering = new Gathering(1, async (sent) => {
      requests.push(told(sent));
      await new Promise<void>((resolve) => answers.push(resolve));
    });
    const first = gathering.write(parts({ 0: ['a'] }));
    while (answers.length === 0) await new Promise(setImmediate);
    const others = [gathering.write(parts({ 0: ['b'] })), gathering.write(parts({ 0: ['c'] }))];
    expect(requests).toEqual([{ 0: ['a'] }]);
    answers.shift()!();
    await first;
    while (answers.length === 0) await new Promise(setImmediate);
    answers.shift()!();
    await Promise.all(others);
    expect(requests).toEqual([{ 0: ['a'] }, { 0: ['b', 'c'] }]);
  });

  it('fails alone when the broker does not take it', async () => {
    const gathering = new Gathering(1, async (sent) => {
      for (const messages of sent.values()) {
        if (messages.some(({ value }) => String(value) === 'poison')) throw new Error('too large');
      }
    });
    const outcomes = await Promise.allSettled(
      ['a', 'poison', 'b'].map((value) => gathering.write(parts({ 0: [value] }))),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    await expect(gathering.write(parts({ 0: ['poison'] }))).rejects.toThrow('too large');
  });
});
