import { UsherError } from '../errors.ts';
import type { Commit, OutboxEntry, VisitorWrite } from '../model/commit.ts';
import type { RedisConnection } from './connection.ts';
import type { ShardKeys } from './keys.ts';
import { keyGraceMs } from './limits.ts';
import { encodeMessage } from './message.ts';
import { pack } from './packed.ts';
import type { Argument } from './scripts.ts';

/**
 * A commit as keys and arguments of commit.lua, whose head gives their order.
 * @throws UsherError COMMIT_TOO_LARGE when it is larger than a commit may be (semantics 4.3)
 */
export function commitArguments(
  commit: Commit,
  keys: ShardKeys,
  redis: Pick<RedisConnection, 'limits' | 'settings'>,
): { readonly keys: readonly string[]; readonly args: readonly Argument[] } {
  const { limits, settings } = redis;
  const { meta, visitors } = commit;
  if (visitors.length > limits.commitVisitors) {
    throw new UsherError(
      'COMMIT_TOO_LARGE',
      `a commit changes at most ${limits.commitVisitors} visitors, this one of shard ${meta.shard} ${visitors.length}`,
    );
  }
  const kept = visitors.filter(({ profile }) => profile !== null);
  const removed = visitors.filter(({ profile }) => profile === null);
  const written: (string | number)[] = kept.flatMap(({ visitor, profile, slots, wakeAt, historicDue }) => [
    visitor,
    profile!,
    slots ?? '',
    wakeAt ?? '',
    historicDue ?? '',
  ]);
  for (const { visitor } of removed) written.push(visitor);
  for (const { id, topic, key, value } of ascending(commit.outbox)) written.push(streamId(id), topic, key, value);
  written.push(...commit.retried);
  for (const event of commit.failed) written.push(event.position, JSON.stringify(event));
  const metaText = JSON.stringify(meta);
  checkBytes(written, metaText, limits.commitBytes, meta.shard);

  const { head, slots } = encodeMessage(commit.message, limits.messageBytes);
  const isAtRest = kept.some(({ atRest }) => atRest === true);
  // As a rule the message tells the slots that are written; then they need not be sent twice.
  const isAppended =
    !isAtRest && slots.length === kept.length && slots.every((text, i) => text === (kept[i]!.slots ?? ''));
  const { timers, historic, outbox, failed, failedOrder, changed } = keys;
  return {
    keys: [keys.meta, timers, historic, outbox, failed, failedOrder, changed].concat(
      [...kept, ...removed].flatMap(({ visitor }) => [keys.profiles + visitor, keys.slots + visitor]),
    ),
    args: [
      meta.commit,
      commit.previous,
      meta.owner,
      metaText,
      Math.ceil((settings.visitorRetentionMs + keyGraceMs) / 1_000),
      limits.failedEvents,
      keys.changes,
      isAppended ? head : head + slots.join(''),
      isAppended ? 1 : 0,
      kept.length,
      removed.length,
      commit.outbox.length,
      commit.retried.length,
      commit.failed.length,
      commit.changed === true ? meta.commits : '',
      ...(isAtRest ? withPackedTexts(written, kept) : written),
    ],
  };
}

/** Profile and slots are the second and third of the five that each kept visitor has. */
function withPackedTexts(written: readonly (string | number)[], kept: readonly VisitorWrite[]): Argument[] {
  const args: Argument[] = [...written];
  for (const [i, { atRest }] of kept.entries()) {
    if (atRest !== true) continue;
    for (const place of [i * 5 + 1, i * 5 + 2]) args[place] = pack(String(written[place]));
  }
  return args;
}

function checkBytes(written: readonly (string | number)[], meta: string, limitBytes: number, shard: number): void {
  let units = meta.length;
  for (const part of written) units += typeof part === 'string' ? part.length : 16;
  // A UTF-16 unit is at most 3 bytes, so most commits need no counting.
  if (units * 3 <= limitBytes) return;
  let bytes = Buffer.byteLength(meta);
  for (const part of written) bytes += Buffer.byteLength(String(part));
  if (bytes > limitBytes) {
    throw new UsherError(
      'COMMIT_TOO_LARGE',
      `a commit is at most ${limitBytes} bytes, this one of shard ${shard} has ${bytes}`,
    );
  }
}

/** A stream takes ids only in their order. */
function ascending(entries: readonly OutboxEntry[]): readonly OutboxEntry[] {
  if (entries.length < 2) return entries;
  return entries
    .map((entry) => ({ entry, id: outboxId(entry.id) }))
    .sort((a, b) => a.id.offset - b.id.offset || a.id.n - b.id.n)
    .map(({ entry }) => entry);
}

/** The id of an outbox entry as a stream takes it: one offset on, because no stream has an entry 0-0. */
export function streamId(id: string): string {
  const { offset, n } = outboxId(id);
  return `${offset + 1}-${n}`;
}

/** An entry of the stream as XRANGE answers it. */
export function toOutboxEntry([id, fields]: [id: string, fields: string[]]): OutboxEntry {
  const { offset, n } = outboxId(id);
  const of = (name: string) => fields[fields.indexOf(name) + 1]!;
  return { id: `${offset - 1}-${n}`, topic: of('topic'), key: of('key'), value: of('value') };
}

function outboxId(id: string): { readonly offset: number; readonly n: number } {
  const parts = /^(\d{1,16})-(\d{1,16})$/.exec(id);
  if (parts === null)
    throw new UsherError('INTERNAL', `an outbox id is <offset>-<n>, this one is ${JSON.stringify(id)}`);
  return { offset: Number(parts[1]), n: Number(parts[2]) };
}
