import { type ErrorCode, isUsherError, UsherError } from '../errors.ts';

/** SQLite's primary result codes that have a meaning of their own here (sqlite.org/rescode.html). */
const primary = { busy: 5, readonly: 8, ioerr: 10, corrupt: 11, full: 13, cantopen: 14, notadb: 26 } as const;
const fsyncFailed: ReadonlySet<number> = new Set([1034, 1290]);

function resultOf(error: unknown): number | null {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : null;
}

export type Fault =
  /** No space on the disk, or the file's limit. SQLite has rolled back. */
  | 'full'
  /** An fsync failed: what earlier ones promised may be gone from the cache, so nothing more may be promised. */
  | 'fsync'
  /** Another I/O fault; whether the transaction reached the disk is not known. */
  | 'io'
  | 'damaged'
  | 'busy'
  | 'unwritable'
  | 'other';

/** Classifies any error; total, so that no foreign error passes as a known one. */
export function faultOf(error: unknown): Fault {
  const code = resultOf(error);
  if (code === null) return 'other';
  if (fsyncFailed.has(code)) return 'fsync';
  switch (code & 0xff) {
    case primary.full:
      return 'full';
    case primary.ioerr:
      return 'io';
    case primary.corrupt:
    case primary.notadb:
      return 'damaged';
    case primary.busy:
      return 'busy';
    case primary.readonly:
    case primary.cantopen:
      return 'unwritable';
    default:
      return 'other';
  }
}

const whileOpening: Readonly<Record<Fault, ErrorCode>> = {
  full: 'DATA_UNWRITABLE',
  fsync: 'DATA_UNWRITABLE',
  io: 'DATA_UNWRITABLE',
  damaged: 'DATA_DAMAGED',
  busy: 'DATA_IN_USE',
  unwritable: 'DATA_UNWRITABLE',
  other: 'INTERNAL',
};

/** What stopped the opening of the file, as an UsherError of "starting and running". */
export function openingFault(error: unknown, path: string): UsherError {
  if (isUsherError(error)) return error;
  return new UsherError(whileOpening[faultOf(error)], `${path}: ${messageOf(error)}`, { cause: error });
}

/** What stopped a read or a write of the state. A damaged file is told as such: asking again does not mend it. */
export function stateFault(error: unknown, what: string): UsherError {
  if (isUsherError(error)) return error;
  const code = faultOf(error) === 'damaged' ? 'DATA_DAMAGED' : 'STATE_UNAVAILABLE';
  return new UsherError(code, `${what}: ${messageOf(error)}`, { cause: error });
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
