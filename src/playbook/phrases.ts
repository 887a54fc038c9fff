import type { EventType } from './playbook.ts';

/** How events, and times, are said in sentences. */

/** "views a product", "viewed a product" and "viewing a product". */
interface Phrase {
  readonly does: string;
  readonly done: string;
  readonly doing: string;
}
const standard: Readonly<Record<string, Phrase>> = {
  page_viewed: { does: 'views a page', done: 'viewed a page', doing: 'viewing a page' },
  product_viewed: { does: 'views a product', done: 'viewed a product', doing: 'viewing a product' },
  product_clicked: { does: 'clicks a product', done: 'clicked a product', doing: 'clicking a product' },
  element_clicked: { does: 'clicks something', done: 'clicked something', doing: 'clicking something' },
  time_spent: {
    does: 'has spent time on a page',
    done: 'spent time on a page',
    doing: 'spending time on a page',
  },
  search_performed: { does: 'searches', done: 'searched', doing: 'searching' },
  cart_item_added: {
    does: 'puts something into the cart',
    done: 'put something into the cart',
    doing: 'putting something into the cart',
  },
  cart_item_removed: {
    does: 'takes something out of the cart',
    done: 'taken something out of the cart',
    doing: 'taking something out of the cart',
  },
  checkout_started: { does: 'goes to the checkout', done: 'gone to the checkout', doing: 'going to the checkout' },
  order_completed: { does: 'completes an order', done: 'completed an order', doing: 'completing an order' },
  slot_shown: { does: 'sees a slot', done: 'seen a slot', doing: 'seeing a slot' },
  slot_clicked: { does: 'clicks a slot', done: 'clicked a slot', doing: 'clicking a slot' },
  message_sent: { does: 'is sent a message', done: 'been sent a message', doing: 'being sent a message' },
  message_failed: { does: 'misses a message', done: 'missed a message', doing: 'missing a message' },
  message_bounced: {
    does: 'has a message bounced',
    done: 'had a message bounced',
    doing: 'having a message bounced',
  },
  message_opened: { does: 'opens a message', done: 'opened a message', doing: 'opening a message' },
  message_unsubscribed: { does: 'unsubscribes', done: 'unsubscribed', doing: 'unsubscribing' },
};

export type EventNames = ReadonlyMap<string, Pick<EventType, 'name'>>;

/** Any of these events. */
export function eventsSaid(types: readonly string[], how: keyof Phrase, events: EventNames): string {
  const said = types.map((type) => {
    const name = `"${events.get(type)?.name ?? type}"`;
    return standard[type]?.[how] ?? `${how} ${name}`;
  });
  return list(
    said.map((each, i) =>
      said.slice(0, i).some((before) => before.endsWith(' the cart')) ? each.replace(/ the cart$/, ' it') : each,
    ),
    'or',
  );
}

/** To be put after "you": "have not completed an order for 30 minutes". */
export function absenceSaid(absent: readonly string[], forMs: number, events: EventNames): string {
  return `have not ${eventsSaid(absent, 'done', events)} for ${spokenDuration(forMs)}`;
}

export function spokenDuration(ms: number): string {
  const units = [
    [86_400_000, 'day'],
    [3_600_000, 'hour'],
    [60_000, 'minute'],
    [1_000, 'second'],
    [1, 'millisecond'],
  ] as const;
  const parts: string[] = [];
  let rest = ms;
  for (const [size, unit] of units) {
    const count = Math.floor(rest / size);
    if (count > 0) parts.push(`${count} ${unit}${count === 1 ? '' : 's'}`);
    rest -= count * size;
  }
  return list(parts, 'and');
}

export function list(parts: readonly string[], word: 'and' | 'or'): string {
  if (parts.length < 2) return parts[0] ?? '';
  return `${parts.slice(0, -1).join(', ')} ${word} ${parts.at(-1)}`;
}
