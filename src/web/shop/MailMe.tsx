import { facts, track } from '../state.ts';

/**
 * Where the cart's reminder may go. A real shop's backend tells the address of a user who has logged in, and is asked for consent by its own
 * pages; this page plays both, which only a development name may.
 */
export function MailMe() {
  const email = facts.value?.visitor['email'];
  const agrees = facts.value?.consent['marketing'] === true;
  const send = (event: SubmitEvent) => {
    event.preventDefault();
    const address = new FormData(event.currentTarget as HTMLFormElement).get('email');
    track('profile_updated', { email: String(address) });
    track('consent_changed', { purpose: 'marketing', granted: true });
  };
  if (typeof email === 'string' && email !== '' && agrees)
    return (
      <p class="small mailme">
        If you leave, your cart follows you to <strong>{email}</strong>.{' '}
        <button
          type="button"
          class="plain"
          onClick={() => track('consent_changed', { purpose: 'marketing', granted: false })}
        >
          No mails
        </button>
      </p>
    );
  return (
    <form class="small mailme" onSubmit={send}>
      <label>
        Mail me my cart if I leave it <input type="email" name="email" required placeholder="you@example.com" />
      </label>
      <button type="submit">Yes, to this address</button>
    </form>
  );
}
