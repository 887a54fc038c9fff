import type { CommitMessage } from '../model/commit.ts';

/**
 * A message on its way: a line of JSON, then the slot texts one after the other, whose lengths (UTF-16 units; −1: null) the line
 * tells. So a text needs no second escaping, and commit.lua can append what it writes anyway instead of being sent it twice.
 */
interface Head extends Omit<CommitMessage, 'visitors'> {
  readonly visitors: readonly (readonly [visitor: string, version: number, slotsLength: number])[];
  /** Too large to be told: visitors and activity are left out. */
  readonly cut?: true;
}

export interface EncodedMessage {
  readonly head: string;
  /** What follows the head. */
  readonly slots: readonly string[];
}

/**
 * A message beyond the limit would push slow subscribers over their output buffer, and Redis then cuts them off: it goes without its
 * visitors and activity, marked, and whoever hears it reads the state (semantics 7.2).
 */
export function encodeMessage(message: CommitMessage, limitBytes: number): EncodedMessage {
  const visitors: [string, number, number][] = [];
  const slots: string[] = [];
  for (const one of message.visitors) {
    visitors.push([one.visitor, one.version, one.slots?.length ?? -1]);
    if (one.slots !== null) slots.push(one.slots);
  }
  const head = headOf({ ...message, visitors });
  if (fits([head, ...slots], limitBytes)) return { head, slots };
  return { head: headOf({ ...message, visitors: [], activity: [], cut: true }), slots: [] };
}

/** @throws Error when the text is none of ours */
export function decodeMessage(text: string): { readonly message: CommitMessage; readonly isCut: boolean } {
  let at = text.indexOf('\n') + 1;
  const { cut, visitors, ...rest } = JSON.parse(text.slice(0, at)) as Head;
  const read = visitors.map(([visitor, version, length]) => {
    const slots = length === -1 ? null : text.slice(at, at + length);
    at += Math.max(0, length);
    return { visitor, version, slots };
  });
  if (at !== text.length)
    throw new Error(`a message of shard ${rest.shard} has ${text.length} characters, expected ${at}`);
  return { message: { ...rest, visitors: read }, isCut: cut === true };
}

function headOf(head: Head): string {
  return `${JSON.stringify(head)}\n`;
}

function fits(parts: readonly string[], limitBytes: number): boolean {
  let units = 0;
  for (const part of parts) units += part.length;
  // A UTF-16 unit is at most 3 bytes, so most messages need no counting.
  if (units * 3 <= limitBytes) return true;
  let bytes = 0;
  for (const part of parts) bytes += Buffer.byteLength(part);
  return bytes <= limitBytes;
}
