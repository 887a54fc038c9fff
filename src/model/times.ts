/** RFC 3339 with an offset: `2026-11-23T20:15:00Z`, `2026-11-23T21:15:00.250+01:00`. */
const rfc3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/;

/** ms since the epoch; NaN when the text is not a time. */
export function parseTime(text: unknown): number {
  if (typeof text !== 'string' || text.length > 40 || !rfc3339.test(text)) return Number.NaN;
  const ms = Date.parse(text);
  // Date.parse takes February 30 as March 2; a client that sends it has a fault that it should hear of.
  return isRealDay(text) ? ms : Number.NaN;
}

function isRealDay(text: string): boolean {
  const day = Number(text.slice(8, 10));
  return day <= 28 || day <= new Date(Date.UTC(Number(text.slice(0, 4)), Number(text.slice(5, 7)), 0)).getUTCDate();
}
