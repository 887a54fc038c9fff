import type { Json, Slot } from './types.ts';

/** Names under which contents of any type carry the same thing; the first that is there is taken. */
const fields = {
  title: ['title', 'headline', 'name'],
  text: ['text', 'body', 'description', 'subtitle'],
  image: ['image', 'imageUrl'],
  link: ['url', 'link', 'href'],
  button: ['button', 'cta', 'action'],
  badge: ['badge', 'label', 'discount'],
} as const;

type Part = keyof typeof fields;

/**
 * A content as elements. Texts become text nodes and addresses are checked, so data can bring no markup and no script.
 * @returns null when the content has nothing to show
 */
export function renderContent(slot: Slot): HTMLElement | null {
  const { data, type } = slot.content;
  const title = textOf(data, 'title');
  const price = priceOf(data);
  const text = textOf(data, 'text');
  const image = safeUrl(textOf(data, 'image'));
  const link = safeUrl(textOf(data, 'link'));
  const button = textOf(data, 'button') ?? (link === null ? null : 'See more');
  const badge = textOf(data, 'badge');
  if (title === null && text === null && image === null) return null;

  const card = make('div', 'content');
  card.dataset['type'] = type;
  if (image !== null) {
    const picture = make('img', 'image');
    picture.src = image;
    // Decoration: what it shows is said in the text beside it.
    picture.alt = '';
    picture.loading = 'lazy';
    card.append(picture);
  }
  const words = make('div', 'words');
  if (badge !== null) words.append(make('span', 'badge', badge));
  if (title !== null) words.append(make('strong', 'title', title));
  if (text !== null) words.append(make('span', 'text', text));
  card.append(words);
  if (price !== null) card.append(make('span', 'price', price));
  if (link !== null && button !== null) {
    const anchor = make('a', 'button', button);
    anchor.href = link;
    card.append(anchor);
  }
  return card;
}

function make<K extends keyof HTMLElementTagNameMap>(tag: K, part: string, text?: string): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  element.setAttribute('part', part);
  element.className = part;
  if (text !== undefined) element.textContent = text;
  return element;
}

function textOf(data: { readonly [name: string]: Json }, part: Part): string | null {
  for (const name of fields[part]) {
    const value = data[name];
    if (typeof value === 'string' && value.trim() !== '') return value;
    if (typeof value === 'number') return String(value);
  }
  return null;
}

/** `price`, in major units, with its `currency` if the content has one. */
function priceOf({ price, currency }: { readonly [name: string]: Json }): string | null {
  if (typeof price !== 'number') return null;
  try {
    if (typeof currency === 'string') {
      return new Intl.NumberFormat(navigator.language, { style: 'currency', currency }).format(price);
    }
  } catch {
    // Not a currency.
  }
  return new Intl.NumberFormat(navigator.language, { minimumFractionDigits: 2 }).format(price);
}

/** http, https and relative addresses only: `javascript:` and `data:` come to nothing. */
export function safeUrl(address: string | null): string | null {
  if (address === null) return null;
  try {
    const url = new URL(address, document.baseURI);
    return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : null;
  } catch {
    return null;
  }
}

/** Inherits the page's font and colour; a page styles further with ::part(title) and --usher-accent. */
export const slotStyle = `
:host { display: block }
:host([hidden]) { display: none }
.content { display: flex; flex-wrap: wrap; align-items: center; gap: .75em 1em; padding: .9em 1.1em; border-radius: .75em;
  border: 1px solid color-mix(in srgb, var(--usher-accent, currentColor) 22%, transparent);
  background: color-mix(in srgb, var(--usher-accent, currentColor) 7%, transparent); }
.image { width: 4.5em; height: 4.5em; object-fit: contain; border-radius: .5em }
.words { display: flex; flex-direction: column; gap: .2em; flex: 1 1 12em; min-width: 0; overflow-wrap: anywhere }
.badge { align-self: flex-start; font-size: .75em; font-weight: 600; padding: .1em .6em; border-radius: 1em;
  background: color-mix(in srgb, var(--usher-accent, currentColor) 16%, transparent) }
.title { font-weight: 650; line-height: 1.3 }
.text { opacity: .8; line-height: 1.45; font-size: .94em }
.price { flex: none; font-weight: 650; font-variant-numeric: tabular-nums }
.button { flex: none; padding: .5em .95em; border-radius: .6em; font-weight: 600; font-size: .92em; text-decoration: none;
  color: var(--usher-accent-text, Canvas); background: var(--usher-accent, CanvasText) }
.button:focus-visible { outline: 2px solid var(--usher-accent, currentColor); outline-offset: 2px }
.enter { animation: usher-enter .28s ease-out }
@keyframes usher-enter { from { opacity: 0; transform: translateY(4px) } }
@media (prefers-reduced-motion: reduce) { .enter { animation: none } }
`;
