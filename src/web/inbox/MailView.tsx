import { useSignal } from '@preact/signals';
import type { Mail } from './mails.ts';

const tabs = ['Mail', 'Text', 'Headers'] as const;

/** One mail: as its reader sees it, its text part, and its headers. */
export function MailView({ mail }: { mail: Mail }) {
  const open = useSignal<(typeof tabs)[number]>(mail.hasHtml ? 'Mail' : 'Text');
  return (
    <article class="read" aria-labelledby="subject">
      <h2 id="subject">{mail.subject || 'without subject'}</h2>
      <dl class="envelope">
        <dt>From</dt>
        <dd>{mail.from}</dd>
        <dt>To</dt>
        <dd>{mail.to.join(', ')}</dd>
        <dt>Arrived</dt>
        <dd>{new Date(mail.receivedAt).toLocaleString([], { hour12: false })}</dd>
      </dl>
      <p class="tabs">
        {tabs
          .filter((tab) => tab !== 'Mail' || mail.hasHtml)
          .map((tab) => (
            <button key={tab} type="button" aria-pressed={open.value === tab} onClick={() => (open.value = tab)}>
              {tab}
            </button>
          ))}
      </p>
      {open.value === 'Mail' && (
        // Neither scripts nor our origin; the answer's own policy says the same.
        <iframe
          title="The mail"
          src={`/inbox/mails/${mail.number}.html`}
          sandbox="allow-popups allow-popups-to-escape-sandbox"
        />
      )}
      {open.value === 'Text' && <pre class="text">{mail.text}</pre>}
      {open.value === 'Headers' && (
        <dl class="headers">
          {mail.headers.map(({ name, value }, n) => (
            <div key={n}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      )}
    </article>
  );
}
