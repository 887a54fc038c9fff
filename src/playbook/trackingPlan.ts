import type { Json } from '../model/json.ts';
import { nearest } from '../model/nearest.ts';
import { quote } from '../model/quote.ts';
import type { Playbook } from './playbook.ts';

/** Why the tracking plan does not take an event. `path`: where in the event. */
export interface PlanProblem {
  readonly code: 'EVENT_TYPE_UNKNOWN' | 'EVENT_INVALID';
  readonly message: string;
  readonly path: readonly string[];
}

/** Types of which only a server may tell: a browser could give a visitor another's e-mail address, or say that a message failed. */
export const serverEvents: ReadonlySet<string> = new Set([
  'profile_updated',
  'message_sent',
  'message_failed',
  'message_bounced',
  'message_opened',
  'message_unsubscribed',
]);

/** What the tracking plan finds wrong with an event, whoever brought it; null: nothing. */
export function planProblem(
  { events }: Pick<Playbook, 'events'>,
  type: string,
  properties: unknown,
): PlanProblem | null {
  const eventType = events.get(type);
  if (eventType === undefined) {
    const near = nearest(type.slice(0, 100), events.keys());
    const message = `${quote(type)} is not a type of the tracking plan${near === null ? '' : `; did you mean "${near}"?`}`;
    return { code: 'EVENT_TYPE_UNKNOWN', message, path: ['type'] };
  }
  if (typeof properties !== 'object' || properties === null || Array.isArray(properties)) {
    const message = `properties: expected an object, came ${Array.isArray(properties) ? 'a list' : typeof properties}`;
    return { code: 'EVENT_INVALID', message, path: ['properties'] };
  }
  const found = eventType.validate(properties as Json)[0];
  if (found === undefined) return null;
  const path = ['properties', ...found.path];
  return { code: 'EVENT_INVALID', message: `${path.join('.').slice(0, 300)}: ${found.message}`, path };
}
