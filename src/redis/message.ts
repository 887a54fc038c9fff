import type { CommitMessage } from '../model/commit.ts';

/**
 * The text of a message. One beyond the limit would push slow subscribers over their output buffer, and Redis then cuts them off: it
 * goes without its visitors and activity, marked, and whoever hears it reads the state (semantics 7.2).
 */
export function encodeMessage(message: CommitMessage, limitBytes: number): string {
  const text = JSON.stringify(message);
  if (text.length * 3 <= limitBytes || Buffer.byteLength(text) <= limitBytes) return text;
  return JSON.stringify({ ...message, visitors: [], activity: [], cut: true });
}

/** @throws SyntaxError when the text is none of ours */
export function decodeMessage(text: string): { readonly message: CommitMessage; readonly isCut: boolean } {
  const { cut, ...message } = JSON.parse(text) as CommitMessage & { cut?: true };
  return { message, isCut: cut === true };
}
