import { renderContent, slotStyle } from './render.ts';
import type { Slot } from './types.ts';
import type { Usher } from './usher.ts';

/** The class is made when a browser is there: a server that renders pages may import this module too. */
const Base = (typeof HTMLElement === 'undefined' ? class {} : HTMLElement) as typeof HTMLElement;

/** Versions of contents told as shown, a page; the oldest is forgotten beyond that. */
const shownMax = 500;

/**
 * `<usher-slot name="home_hero">what shows without Usher</usher-slot>`: shows what Usher decides for the visitor, and keeps what
 * stands inside until it answers. Emits `usher:content` with the slot in `detail.slot`; a page that wants to draw it itself calls
 * `preventDefault()`. Says slot_shown when half of it is seen, once a version, and slot_clicked.
 */
export class UsherSlotElement extends Base {
  #slot: Slot | null = null;
  #place: HTMLElement | null = null;
  #seen: IntersectionObserver | null = null;

  connectedCallback(): void {
    if (this.#place === null) {
      const root = this.attachShadow({ mode: 'open' });
      const style = document.createElement('style');
      style.textContent = slotStyle;
      this.#place = document.createElement('div');
      // A changed offer is said, not shouted.
      this.#place.setAttribute('aria-live', 'polite');
      this.#place.append(document.createElement('slot'));
      root.append(style, this.#place);
      this.addEventListener('click', () => this.#clicked());
    }
    registry.add(this);
  }

  disconnectedCallback(): void {
    this.#seen?.disconnect();
    registry.remove(this);
  }

  /** Where it belongs in the playbook. */
  get name(): string {
    return this.getAttribute('name') ?? '';
  }

  /** What it shows now; null while only its fallback markup shows. */
  get content(): Slot | null {
    return this.#slot;
  }

  /** @internal The registry brings what was decided. */
  show(slot: Slot): void {
    if (this.#slot?.version === slot.version && this.#slot.content.id === slot.content.id) {
      this.#slot = slot;
      return;
    }
    this.#slot = slot;
    this.setAttribute('content', slot.content.id);
    this.setAttribute('source', slot.source.toLowerCase());
    const event = new CustomEvent('usher:content', {
      detail: { slot },
      bubbles: true,
      composed: true,
      cancelable: true,
    });
    if (this.dispatchEvent(event)) this.#render(slot);
    this.#watch();
  }

  /** @internal */
  forget(): void {
    this.#slot = null;
    this.removeAttribute('content');
    this.removeAttribute('source');
    this.#place?.replaceChildren(document.createElement('slot'));
  }

  #render(slot: Slot): void {
    const content = renderContent(slot);
    // A content without title, text and image means: nothing here. The markup inside would claim otherwise.
    this.#place?.replaceChildren(...(content === null ? [] : [content]));
    content?.classList.add('enter');
    this.toggleAttribute('empty', content === null);
  }

  #watch(): void {
    this.#seen?.disconnect();
    this.#seen = new IntersectionObserver(
      (entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        this.#seen?.disconnect();
        if (this.#slot !== null && !this.hasAttribute('empty')) registry.shown(this.#slot);
      },
      { threshold: 0.5 },
    );
    this.#seen.observe(this);
  }

  #clicked(): void {
    if (this.#slot !== null) registry.clicked(this.#slot);
  }
}

/** All slots of the page share one subscription for the names they have together. */
class SlotRegistry {
  readonly #elements = new Set<UsherSlotElement>();
  readonly #latest = new Map<string, Slot>();
  readonly #told = new Set<string>();
  #usher: Usher | null = null;
  #subscribed = '';
  #stop: (() => void) | null = null;
  #planned = false;

  use(usher: Usher | null): void {
    this.#stop?.();
    this.#stop = null;
    this.#subscribed = '';
    this.#usher = usher;
    this.#latest.clear();
    this.#told.clear();
    for (const element of this.#elements) element.forget();
    this.#plan();
  }

  add(element: UsherSlotElement): void {
    this.#elements.add(element);
    const known = this.#latest.get(element.name);
    if (known !== undefined) element.show(known);
    this.#plan();
  }

  remove(element: UsherSlotElement): void {
    this.#elements.delete(element);
    this.#plan();
  }

  shown(slot: Slot): void {
    const key = `${slot.name} ${slot.version} ${slot.content.id}`;
    if (this.#told.has(key)) return;
    this.#told.add(key);
    if (this.#told.size > shownMax) this.#told.delete(this.#told.values().next().value!);
    void this.#usher?.track('slot_shown', { slot: slot.name, content: slot.content.id });
  }

  clicked(slot: Slot): void {
    void this.#usher?.track('slot_clicked', { slot: slot.name, content: slot.content.id });
  }

  /** A page that is being built adds its slots one by one: they become one subscription. */
  #plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    setTimeout(() => {
      this.#planned = false;
      this.#subscribe();
    });
  }

  #subscribe(): void {
    const names = [...new Set([...this.#elements].map((element) => element.name))].filter((name) => name !== '').sort();
    const key = JSON.stringify(names);
    if (this.#usher === null || key === this.#subscribed) return;
    // The old one ends after the new one began, so that the connection between them is not closed for nothing.
    const before = this.#stop;
    this.#subscribed = key;
    this.#stop =
      names.length === 0
        ? null
        : this.#usher.subscribe(names, (update) => {
            for (const slot of update.slots) this.#take(slot);
          });
    before?.();
    for (const name of this.#latest.keys()) if (!names.includes(name)) this.#latest.delete(name);
  }

  #take(slot: Slot): void {
    this.#latest.set(slot.name, slot);
    for (const element of this.#elements) if (element.name === slot.name) element.show(slot);
  }
}

const registry = new SlotRegistry();

/** Makes `<usher-slot>` known to the page and lets all of them show what this client's visitor gets; null: their fallbacks again. */
export function defineUsherSlot(usher: Usher | null): void {
  if (customElements.get('usher-slot') === undefined) customElements.define('usher-slot', UsherSlotElement);
  registry.use(usher);
}
