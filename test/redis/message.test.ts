import { describe, expect, it } from 'vitest';
import type { CommitMessage } from '../../src/model/commit.ts';
import { noCounts, type ShardMeta } from '../../src/model/shardMeta.ts';
import { commitArguments } from '../../src/redis/commitArguments.ts';
import { keysOf } from '../../src/redis/keys.ts';
import { redisLimits } from '../../src/redis/limits.ts';
import { decodeMessage, encodeMessage } from '../../src/redis/message.ts';
import { commitAfter, write } from '../contract/commits.ts';
import { redisSettings } from '../contract/redisSubjects.ts';

const meta: ShardMeta = {
  ...{
    shard: 0,
    shards: 1,
    owner: 'o',
    epoch: 1,
    lineage: 'l',
    commit: 'c',
    position: 0,
    outputs: 0,
    copied: 0,
    commits: 0,
    rebuilding: false,
    appendTime: 0,
  },
  ...{ active: null, lastId: null, counters: noCounts, segments: {} },
};
const redis = { limits: redisLimits, settings: redisSettings('redis://none') };

function told(slots: readonly (string | null)[]): CommitMessage {
  const { message } = commitAfter(meta);
  return { ...message, visitors: slots.map((text, n) => ({ visitor: `u:${n}\n"`, version: n, slots: text })) };
}
const roundTrip = (message: CommitMessage, limit = 1e9) => {
  const { head, slots } = encodeMessage(message, limit);
  return decodeMessage(head + slots.join(''));
};

describe('a message of a commit', () => {
  it('comes out as it went in, whatever the texts of its slots hold', () => {
    const message = told(['{"a":1}', null, '', 'line\nline', '👩‍🚀 \u2028é', '"\\', null]);
    expect(roundTrip(message)).toEqual({ message, isCut: false });
  });

  it('is told whole up to the limit in bytes, and without its visitors beyond it', () => {
    const message = told(['é'.repeat(100)]);
    const { head, slots } = encodeMessage(message, 1e9);
    const bytes = Buffer.byteLength(head + slots.join(''));
    expect(roundTrip(message, bytes)).toEqual({ message, isCut: false });
    expect(roundTrip(message, bytes - 1)).toEqual({ message: { ...message, visitors: [] }, isCut: true });
  });

  it('is refused when part of it is missing', () => {
    const { head, slots } = encodeMessage(told(['{"a":1}']), 1e9);
    expect(() => decodeMessage(head)).toThrow(/expected/);
    expect(() => decodeMessage(`${head + slots.join('')}x`)).toThrow(/expected/);
    expect(() => decodeMessage('nothing of ours')).toThrow();
  });

  it('sends the slots that a commit writes once, and others with the message', () => {
    const gone = { visitor: 'u:c', profile: null, slots: null, wakeAt: null, historicDue: null };
    const commit = {
      ...commitAfter(meta, { visitors: [write('u:a', 'A'), gone, write('u:b', 'B')] }),
      changed: true as const,
    };
    const argumentsOf = (message: CommitMessage) =>
      commitArguments({ ...commit, message }, keysOf('usher', 1)[0]!, redis).args;
    const times = (args: readonly unknown[], text: string) => args.join('\0').split(text).length - 1;
    expect(times(argumentsOf(commit.message), 'slots B')).toBe(1);
    const fewer = { ...commit.message, visitors: commit.message.visitors.slice(2) };
    expect(times(argumentsOf(fewer), 'slots B')).toBe(2);
  });
});
