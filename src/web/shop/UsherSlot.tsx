import type { ComponentChildren, HTMLAttributes, JSX } from 'preact';

declare module 'preact' {
  namespace JSX {
    interface IntrinsicElements {
      'usher-slot': HTMLAttributes<HTMLElement> & { name: string; page?: string };
    }
  }
}

/** A slot with its name beside it, because here the visitor of the page is a developer. */
export function UsherSlot({
  name,
  page,
  children,
}: {
  name: string;
  page: string;
  children: ComponentChildren;
}): JSX.Element {
  return (
    <div class="slot">
      <span class="slotname">
        <code>{name}</code>
      </span>
      <usher-slot name={name} page={page}>
        <p class="fallback">{children}</p>
      </usher-slot>
    </div>
  );
}
