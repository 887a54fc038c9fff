import type { Json } from '../model/json.ts';

/** What one remembered value may weigh in a visitor's state: characters of a text, or of a list's or map's JSON. */
export const valueLimit = 256;

/** The value, or what can be kept of it: a long text is cut, a large list or map is told by its size. */
export function boundedValue(value: Json): Json {
  if (typeof value === 'string') return cutText(value, valueLimit);
  if (value === null || typeof value !== 'object') return value;
  if (JSON.stringify(value).length <= valueLimit) return value;
  return Array.isArray(value) ? `(${value.length} items)` : `(${Object.keys(value).length} fields)`;
}

/** At most `limit` UTF-16 units, never half of a surrogate pair. */
export function cutText(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const last = text.charCodeAt(limit - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? limit - 1 : limit);
}
