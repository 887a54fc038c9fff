import { Line, Top } from '../Top.tsx';
import { MailView } from './MailView.tsx';
import { connected, isLocal, type Mail, mails, shown } from './mails.ts';

export function Inbox() {
  return (
    <>
      <Top
        who={
          <>
            <span>
              Inbox of <strong>every shopper</strong>
            </span>
            {isLocal.value && <Line connected={connected.value} />}
          </>
        }
      >
        <a href="/">Shop</a>
        <a href="/graphql">GraphiQL</a>
      </Top>
      <main class="inbox">
        <List />
        {shown.value === null ? <Nothing /> : <MailView key={shown.value.number} mail={shown.value} />}
      </main>
    </>
  );
}

function List() {
  const all = mails.value ?? [];
  return (
    <section class="mails" aria-labelledby="mails-title">
      <h1 id="mails-title">
        Mails <span class="small">{all.length > 0 && all.length}</span>
      </h1>
      <ol>
        {all.map((mail) => (
          <Item key={mail.number} mail={mail} />
        ))}
      </ol>
    </section>
  );
}

function Item({ mail }: { mail: Mail }) {
  const isShown = shown.value?.number === mail.number;
  return (
    <li>
      <a href={`#${mail.number}`} class="mail" aria-current={isShown ? 'true' : undefined}>
        <span class="to">{mail.to.join(', ')}</span>
        <time dateTime={new Date(mail.receivedAt).toISOString()}>
          {new Date(mail.receivedAt).toLocaleTimeString([], { hour12: false })}
        </time>
        <strong class="subject">{mail.subject || 'without subject'}</strong>
        <span class="begin">{mail.text.slice(0, 160)}</span>
      </a>
    </li>
  );
}

/** Says what to do for a first mail. */
function Nothing() {
  if (mails.value === null) return <section class="nothing" aria-busy="true" />;
  return (
    <section class="nothing">
      <h2>No mail yet</h2>
      {isLocal.value ? (
        <p>
          Mails that rules send arrive here, and nowhere else. <a href="/">Fill a cart in the shop</a>, leave it, and
          wait for what the playbook says.
        </p>
      ) : (
        <p>
          This Usher sends its mail to the server of the setting <code>smtpUrl</code>, or leaves it to other processes.
          Without that setting its mails would be shown here.
        </p>
      )}
    </section>
  );
}
