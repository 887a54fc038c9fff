import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { identityToken } from '../../src/sdk/server.ts';
import type { Usher } from '../../src/sdk/usher.ts';

/** The shop of docs/identity.md: its backend and its page, as they stand there. */
export function shopServer(usherUrl: string, secretKey: string, identitySecret: string) {
  async function logIn(request: IncomingMessage, response: ServerResponse) {
    const { email, password } = (await json(request)) as { email: string; password: string };
    const userId = checkPassword(email, password);
    const token = identityToken({ userId, secret: identitySecret });
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ token }));
  }

  async function tellProfile(profile: object) {
    const query = `mutation($input: UpdateProfileInput!) {
      updateProfile(input: $input) { outcome { status error { code message path } } }
    }`;
    const response = await fetch(`${usherUrl}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${secretKey}` },
      body: JSON.stringify({ query, variables: { input: profile } }),
    });
    const { data } = (await response.json()) as { data: { updateProfile: { outcome: { status: string } } } };
    return data.updateProfile.outcome;
  }

  const server = createServer((request, response) => void logIn(request, response));
  return { server, tellProfile };
}

function checkPassword(email: string, password: string): string {
  if (password !== 'right') throw new Error('wrong password');
  return email.split('@')[0]!;
}

export function shopPage(usher: Usher, shopUrl: string) {
  async function loggedIn(form: { email: string; password: string }) {
    const response = await fetch(`${shopUrl}/login`, { method: 'POST', body: JSON.stringify(form) });
    const { token } = (await response.json()) as { token: string };
    await usher.identify(token);
  }

  function loggedOut() {
    usher.reset();
  }

  function agreed(toMail: boolean) {
    return usher.setConsent('marketing', toMail);
  }
  return { loggedIn, loggedOut, agreed };
}
