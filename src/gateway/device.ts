import bowser from 'bowser';
import { LRUCache } from 'lru-cache';
import type { DeviceKind } from '../model/record.ts';
import { limits } from './limits.ts';

const kinds: ReadonlySet<string> = new Set<DeviceKind>(['desktop', 'mobile', 'tablet', 'tv', 'bot']);
/** Parsing costs some 20 µs and browsers send few different texts; an unknown device is kept too, as ''. */
const known = new LRUCache<string, DeviceKind | ''>({ max: limits.userAgents });

/** The kind of device a User-Agent header names; undefined when it names none that Usher knows. */
export function deviceOf(userAgent: string | undefined): DeviceKind | undefined {
  if (userAgent === undefined || userAgent === '' || userAgent.length > 1_000) return undefined;
  let kind = known.get(userAgent);
  if (kind === undefined) {
    kind = parse(userAgent);
    known.set(userAgent, kind);
  }
  return kind === '' ? undefined : kind;
}

function parse(userAgent: string): DeviceKind | '' {
  if (/bot\b|crawler|spider|crawling/i.test(userAgent)) return 'bot';
  const type = bowser.parse(userAgent).platform.type ?? '';
  return kinds.has(type) ? (type as DeviceKind) : '';
}
