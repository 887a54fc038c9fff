import { UsherError } from '../errors.ts';

/**
 * A point in a visitor's history: opaque to callers, and good for that visitor only (semantics 7.1, 7.3).
 * Nothing in it is secret and nothing is granted by it, so it is not signed: a forged one only makes its owner wait.
 */
export interface Cursor {
  readonly visitor: string;
  /** Satisfied once every record of the visitor's shard below this offset is folded. */
  readonly upTo: number;
  /** The slots' version and the lineage it belongs to; null in the cursor of an event, which must also not be held. */
  readonly slots: { readonly lineage: string; readonly version: number } | null;
}

const format = '1';

export function encodeCursor(cursor: Cursor): string {
  const { visitor, upTo, slots } = cursor;
  return Buffer.from(`${format}|${upTo}|${slots?.lineage ?? ''}|${slots?.version ?? ''}|${visitor}`).toString(
    'base64url',
  );
}

/** @throws UsherError BAD_CURSOR when it is not one, or another visitor's */
export function decodeCursor(text: string, visitor: string): Cursor {
  if (text.length > 512 || !/^[A-Za-z0-9_-]+$/.test(text)) throw badCursor('it is not one that Usher gave');
  const parts = /^1\|(\d{1,15})\|([^|]*)\|(\d{0,15})\|(.+)$/s.exec(Buffer.from(text, 'base64url').toString());
  if (parts === null) throw badCursor('it is not one that Usher gave');
  if (parts[4] !== visitor) throw badCursor("it is another visitor's");
  const slots = parts[2] === '' || parts[3] === '' ? null : { lineage: parts[2]!, version: Number(parts[3]) };
  return { visitor, upTo: Number(parts[1]), slots };
}

export function badCursor(reason: string): UsherError {
  return new UsherError('BAD_CURSOR', `the cursor cannot be used: ${reason}`);
}
