import type { ComponentChildren } from 'preact';

/** The line over every page: whose it is, and where else one can go. */
export function Top({ who, children }: { who: ComponentChildren; children: ComponentChildren }) {
  return (
    <header class="top">
      <span class="brand">
        <span class="mark" aria-hidden="true">
          U
        </span>
        Usher
      </span>
      <p class="who">{who}</p>
      <nav aria-label="Tools">{children}</nav>
    </header>
  );
}

/** Whether news comes; null: it is not known yet. */
export function Line({ connected }: { connected: boolean | null }) {
  const words = connected === null ? 'connecting' : connected ? 'live' : 'reconnecting';
  return (
    <span class={`line ${words}`} role="status">
      {words}
    </span>
  );
}
