import { createHash } from 'node:crypto';

/** The id of an event whose client gave none, made of its name: the same on every machine. UUID version 8 of RFC 9562, over SHA-256. */
export function namedEventId(name: string): string {
  const bytes = createHash('sha256').update(name).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The id of a message, made of its name: 128 bits as 32 hexadecimal digits (semantics 9.1). */
export function namedActionId(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 32);
}
