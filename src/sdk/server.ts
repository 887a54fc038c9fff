import { createHmac, randomUUID } from 'node:crypto';

/** For the site's own backend (Node.js), not for browsers: whoever has the secret can be any user. One file that needs nothing else. */
export interface IdentityTokenOptions {
  /** The id of the user who is logged in, as the site calls them: Usher's visitor `u:<userId>`. */
  readonly userId: string;
  /** One of Usher's setting identitySecrets. */
  readonly secret: string;
  /** Its name there, if it has one. */
  readonly kid?: string;
  /** The anonymous visitor's id, if the backend knows it: then the token is of no use to any other. */
  readonly visitor?: string;
  /** Usher's setting identityAudience; default `usher`. */
  readonly audience?: string;
  /** Default 10: the page shows it at once. */
  readonly minutes?: number;
}

/** A token with which the page says who is logged in: `usher.identify(token)`. Make a new one for each login, after the password was right. */
export function identityToken(options: IdentityTokenOptions): string {
  const { userId, secret, kid, visitor, audience = 'usher', minutes = 10 } = options;
  const now = Math.floor(Date.now() / 1000);
  const header = { alg: 'HS256', typ: 'JWT', kid };
  const claims = { sub: userId, aud: audience, iat: now, exp: now + minutes * 60, jti: randomUUID(), visitor };
  const signed = `${encoded(header)}.${encoded(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
