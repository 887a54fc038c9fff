import type { ComponentChildren, HTMLAttributes, JSX } from 'preact';

declare module 'preact' {
  namespace JSX {
    interface IntrinsicElements {
      'usher-slot': HTMLAttributes<HTMLElement> & { name: string; page?: string };
    }
  }
}

interface SlotProps {
  readonly name: string;
  readonly page?: string;
  /** A line from edge to edge instead of a card. */
  readonly bare?: boolean;
  readonly children: ComponentChildren;
}

/** A slot with its name beside it, because here the visitor of the page is a developer. */
export function UsherSlot({ name, page, bare = false, children }: SlotProps): JSX.Element {
  return (
    <div class={bare ? 'slot bare' : 'slot'}>
      <span class="slotname">
        <code>{name}</code>
      </span>
      <usher-slot name={name} {...(page === undefined ? {} : { page })}>
        <p class="fallback">{children}</p>
      </usher-slot>
    </div>
  );
}
