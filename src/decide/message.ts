import type { ActionOrder } from '../model/action.ts';
import type { Json, JsonObject } from '../model/json.ts';
import { toMajor, toMinor } from '../model/money.ts';
import { scopeOfFacts } from '../playbook/contents.ts';
import type { Catalog, Playbook, Scope, Text } from '../playbook/playbook.ts';
import type { MailTemplate } from '../playbook/sending.ts';
import { cutText } from './bounds.ts';

/** What is known only when a message leaves. */
export interface GivenAtSending {
  /** `${link}`: where the action's `link` leads, signed for this message. */
  readonly link: string;
  /** `${unsubscribe}`: where the receiver says that no more are wanted. */
  readonly unsubscribe: string;
  /** Of the shop: addresses of pictures and pages that begin with `/` are made whole with it. */
  readonly baseUrl: string;
}
const nothingGiven: GivenAtSending = { link: '', unsubscribe: '', baseUrl: '' };

export interface RenderedMessage {
  /** JSON of a web hook or a topic: `{type, timestamp, data}`, as Standard Webhooks has it. */
  readonly payload: JsonObject;
  /** null: it is no mail. */
  readonly mail: { readonly subject: string; readonly text: string; readonly html: string | null } | null;
}

export const messageLimits = { subject: 200, text: 100_000, lines: 100_000 } as const;

/**
 * The text of a message, from what its order kept. Pure: the same order gives the same text at each attempt.
 * @param playbook the one that ordered it
 * @returns null when the playbook has no such action
 */
export function renderMessage(
  order: ActionOrder,
  playbook: Playbook,
  catalog: Catalog,
  given: GivenAtSending = nothingGiven,
): RenderedMessage | null {
  const action = playbook.actions.get(order.action);
  if (action === undefined) return null;
  const lines = linesOf(order, playbook, catalog, given);
  const mail = action.mail === null ? null : mailOf(action.mail, order, lines, given);
  return { payload: payloadOf(order, action.hasCart ? lines : null), mail };
}

/** A line of the cart with what the catalog says of its product. */
function linesOf(
  { with: kept }: ActionOrder,
  { minorDigits }: Playbook,
  catalog: Catalog,
  { baseUrl }: GivenAtSending,
): readonly JsonObject[] {
  const lines = (kept['cart.lines'] ?? []) as readonly { productId: string; quantity: number; price: number }[];
  return lines.map(({ productId, quantity, price }) => {
    const product = catalog.products.get(productId);
    const total = toMajor(toMinor(price, minorDigits) * quantity, minorDigits);
    const { name = productId, category = '', brand = '', image = '', url = '' } = product ?? {};
    const whole = (address: string) => (/^\/(?!\/)/.test(address) ? `${baseUrl}${address}` : address);
    const known = { name, category, brand, image: whole(image), url: whole(url) };
    return { id: productId, productId, quantity, price, total, ...known };
  });
}

function mailOf(
  { subject, text, html, lines: template }: MailTemplate,
  order: ActionOrder,
  lines: readonly JsonObject[],
  { link, unsubscribe }: GivenAtSending,
): NonNullable<RenderedMessage['mail']> {
  const own = {
    ...scopeOfFacts(Object.entries(order.with)),
    with: givenByRule(order),
    now: order.at,
    link,
    unsubscribe,
  };
  const scope = own as unknown as Scope;
  const written = (each: Text | null | undefined, write: (value: string) => string) =>
    each == null ? '' : allLines(each, scope, lines, write);
  const textLines = written(template?.text, asItIs);
  const htmlLines = written(template?.html, escapeHtml);
  const withLines = (block: string) => ({ ...own, lines: block }) as unknown as Scope;
  return {
    subject: cutText(onOneLine(subject.render(scope)), messageLimits.subject),
    text: cutText(text.render(withLines(textLines)), messageLimits.text),
    // The lines are HTML already.
    html:
      html === null
        ? null
        : html.render(withLines(htmlLines), (value, hole) => (hole.trim() === 'lines' ? value : escapeHtml(value))),
  };
}

/** As many whole lines as there is room for. */
function allLines(
  template: Text,
  scope: Scope,
  lines: readonly JsonObject[],
  write: (value: string) => string,
): string {
  let all = '';
  for (const line of lines) {
    const one = template.render({ ...scope, line } as unknown as Scope, write);
    if (all.length + one.length > messageLimits.lines) break;
    all += one.endsWith('\n') ? one : `${one}\n`;
  }
  return all;
}

function payloadOf(order: ActionOrder, lines: readonly JsonObject[] | null): JsonObject {
  const { id, visitor, action, rule, purpose, to, facts, at, orderedAt, with: kept } = order;
  const cart =
    lines === null ? {} : { cart: { id: kept['cart.id'] ?? null, value: kept['cart.value'] ?? null, lines } };
  return {
    type: action,
    timestamp: new Date(orderedAt).toISOString(),
    data: {
      id,
      visitor,
      action,
      rule,
      purpose,
      to,
      at: new Date(at).toISOString(),
      with: givenByRule(order),
      facts: Object.fromEntries(facts),
      ...cart,
    },
  };
}

/** What the rule gave: what was read of the visitor has a dot in its name. */
export function givenByRule({ with: kept }: ActionOrder): { readonly [name: string]: Json } {
  return Object.fromEntries(Object.entries(kept).filter(([name]) => !name.includes('.')));
}

/** A line break in a subject would begin another header. */
function onOneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim();
}

const asItIs = (value: string) => value;
const entities: { readonly [character: string]: string } = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
/** For the content of an element, and of an attribute in quotes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character]!);
}
