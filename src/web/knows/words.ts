import type { Activity, Json, Slot } from '../../sdk/index.ts';

export function sentenceOf(slot: Slot): string {
  return slot.why.sentence;
}

/** `cart_item_added` → `cart item added`. */
export function spoken(id: string): string {
  return id.replaceAll('_', ' ');
}

/** What the step was, in a word; an event that was folded needs none. */
export function remark(activity: Activity): string | null {
  switch (activity.what) {
    case 'FOLDED':
      return null;
    case 'DUPLICATE':
      return 'sent twice, counted once';
    case 'HELD':
      return 'waits for an earlier one';
    case 'FAILED':
      return 'failed';
    case 'TIMER':
      return 'time passed';
    case 'TOUCHED':
      return 'new playbook';
    default:
      return activity.what.toLowerCase();
  }
}

/** Properties as `name value`, short enough for one line. */
export function brief(properties: Activity['properties']): string {
  return Object.entries(properties ?? {})
    .filter(([name]) => name !== 'pageViewId')
    .map(([name, value]) => `${name} ${short(value)}`)
    .join(' · ');
}
function short(value: Json): string {
  if (Array.isArray(value)) return `${value.length}`;
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}

/** Milliseconds with as many digits as mean something. */
export function milliseconds(ms: number): string {
  return ms < 10 ? ms.toFixed(1) : String(Math.round(ms));
}
