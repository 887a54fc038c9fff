import { isDuration, isInstant } from './calendar.ts';

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * `30m`, `1h30m`, `1.5s`, `-2s` as ms; null: not a duration, not a whole number of ms, or too long (292 years).
 * Units of CEL down to ms; with `days` also `d`, which CEL has not.
 */
export function parseDuration(text: string, options: { readonly days?: boolean } = {}): number | null {
  if (!/^[+-]?(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/.test(text) || text.length > 40) return null;
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    if (unit === 'd' && options.days !== true) return null;
    ms += Number(amount) * unitMs[unit!]!;
  }
  const rounded = Math.round(ms);
  if (Math.abs(ms - rounded) > 1e-6 || !isDuration(rounded)) return null;
  return text.startsWith('-') ? -rounded : rounded;
}

/** RFC 3339 with a zone, as ms since the epoch; null: it is not one, no such day, or not of the years 1 to 9999. */
export function parseInstant(text: string): number | null {
  // Date.parse takes 24:00 for the next day's 00:00.
  const match = /^(\d{4})-(\d\d)-(\d\d)T(?:[01]\d|2[0-3]):\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/.exec(text);
  if (match === null) return null;
  const ms = Date.parse(text);
  if (!isInstant(ms)) return null;
  // Date.parse takes 30 February for 2 March.
  const days = new Date(Date.UTC(Number(match[1]), Number(match[2]), 0)).getUTCDate();
  return Number(match[3]) <= days ? ms : null;
}
