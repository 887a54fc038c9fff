import { createHash } from 'node:crypto';

/**
 * Names of a file's rows that are the same however often, and in whatever batches, the file is sent: that is what makes a
 * second replay all duplicates. `fileHash` is the SHA-256 of the file's content, unpacked, in hex.
 */

/** Source of a visitor's rows: 64 bits, 16 hex digits. */
export function sourceOf(fileHash: string, visitor: string): string {
  return createHash('sha256').update(`${fileHash}\n${visitor}`).digest('hex').slice(0, 16);
}

/** Id of a row: UUIDv5 (RFC 9562 §5.5), name space the first 128 bits of the file's hash, name the row's number. */
export function rowId(fileHash: string, row: number): string {
  return uuidV5(Buffer.from(fileHash.slice(0, 32), 'hex'), String(row));
}

export function uuidV5(namespace: Uint8Array, name: string): string {
  const bytes = createHash('sha1').update(namespace).update(name, 'utf8').digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x50;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
