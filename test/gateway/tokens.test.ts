import { generateKeyPairSync } from 'node:crypto';
import { SignJWT, UnsecuredJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { parseSecretKeys, type Scope, Tokens } from '../../src/gateway/tokens.ts';

const visitSecret = 'a secret of the tests, of 32 letters or more';
const hourMs = 3_600_000;
const key = 'usk_0123456789abcdef';

function clocked(options: { development?: boolean; keys?: string[] } = {}) {
  const clock = { ms: Date.UTC(2026, 10, 23) };
  const tokens = new Tokens({
    visitSecret,
    keys: parseSecretKeys(options.keys ?? [`${key}=read+write`]),
    development: options.development ?? true,
    lifeMs: hourMs,
    now: () => clock.ms,
  });
  return { clock, tokens, identify: async (token: string) => tokens.identify(`Bearer ${token}`) };
}
const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'fine',
    (error: { code: string }) => error.code,
  );

describe('a visit token', () => {
  it('names a new visitor each time, with an id nobody can guess', async () => {
    const { tokens, identify } = clocked();
    const [one, two] = [await tokens.startVisit(null, 0), await tokens.startVisit(null, 0)];
    expect(one.visitor).toMatch(/^v_[\w-]{22}$/);
    expect(one.visitor).not.toBe(two.visitor);
    expect(await identify(one.token)).toEqual({ kind: 'visitor', visitor: one.visitor, expiresAt: one.expiresAt });
  });
  it('expires, also when it was checked and remembered before', async () => {
    const { clock, tokens, identify } = clocked();
    const { token, expiresAt } = await tokens.startVisit(null, 0);
    await identify(token);
    clock.ms = expiresAt - 1;
    await identify(token);
    clock.ms = expiresAt;
    expect(await code(identify(token))).toBe('TOKEN_EXPIRED');
    expect(await code(clockedAt(clock.ms).identify(token))).toBe('TOKEN_EXPIRED');
  });
  it('renews for the same visitor while that is remembered, and not after', async () => {
    const { clock, tokens } = clocked();
    const { token, visitor, expiresAt } = await tokens.startVisit(null, 0);
    clock.ms = expiresAt + 10 * hourMs;
    const renewed = await tokens.startVisit(token, 11 * hourMs);
    expect(renewed).toMatchObject({ visitor, expiresAt: clock.ms + hourMs });
    expect(await code(tokens.startVisit(token, 9 * hourMs))).toBe('TOKEN_EXPIRED');
  });
  it.each([
    ['of another secret', () => sign((jwt) => jwt, 'another secret, also of 32 letters or more')],
    ['of another issuer', () => sign((jwt) => jwt.setIssuer('somebody'))],
    ['of the right secret by another algorithm', () => sign((jwt) => jwt, visitSecret, true, 'HS512')],
    ['without an end', () => sign((jwt) => jwt, visitSecret, false)],
    ['without a visitor', () => sign((jwt) => jwt.setSubject(''))],
    ['with control characters in the visitor', () => sign((jwt) => jwt.setSubject('v\n'))],
    [
      'of algorithm none',
      async () => new UnsecuredJWT({}).setIssuer('usher').setSubject('v').setExpirationTime('1h').encode(),
    ],
    [
      'of a key pair',
      () =>
        new SignJWT()
          .setProtectedHeader({ alg: 'RS256' })
          .setIssuer('usher')
          .setSubject('v')
          .setExpirationTime('1h')
          .sign(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
    ],
    ['that is no token', async () => 'nonsense'],
    ['with a changed visitor', async () => changeVisitor((await clocked().tokens.startVisit(null, 0)).token)],
  ])('%s is TOKEN_INVALID, and cannot be renewed', async (_name, make) => {
    const { tokens, identify } = clocked();
    const token = await make();
    expect(await code(identify(token))).toBe('TOKEN_INVALID');
    expect(await code(tokens.startVisit(token, 1_000 * hourMs))).toBe('TOKEN_INVALID');
  });
});

describe('a development name', () => {
  it('is a visitor in development and nothing in production', async () => {
    expect(await clocked().identify('dev:alice')).toEqual({ kind: 'visitor', visitor: 'dev:alice', expiresAt: null });
    expect(await code(clocked({ development: false }).identify('dev:alice'))).toBe('TOKEN_INVALID');
  });
  it('must be a visitor id', async () => {
    expect(await code(clocked().identify('dev:'))).toBe('TOKEN_INVALID');
    expect(await code(clocked().identify(`dev:${'x'.repeat(124)}`))).toBe('fine');
    expect(await code(clocked().identify(`dev:${'x'.repeat(125)}`))).toBe('TOKEN_INVALID');
  });
});

describe('a secret key', () => {
  it('has the scopes it was given', async () => {
    const identity = await clocked().identify(key);
    expect(identity?.kind === 'key' && [...identity.key.scopes]).toEqual<Scope[]>(['read', 'write']);
    expect(JSON.stringify(identity)).not.toContain(key);
  });
  it('is TOKEN_INVALID when a letter differs', async () => {
    expect(await code(clocked().identify(`${key}0`))).toBe('TOKEN_INVALID');
    expect(await code(clocked().identify(key.replace('f', 'e')))).toBe('TOKEN_INVALID');
  });
  it.each(['usk_short=read', `${key}=reed`, `${key}=`, 'key_0123456789abcdef=read', key])(
    'is refused in the settings without being shown: %s',
    (entry) => {
      const fault = (() => {
        try {
          parseSecretKeys([entry]);
        } catch (error) {
          return error as { code: string; message: string };
        }
        return null;
      })();
      expect(fault?.code).toBe('CONFIG_INVALID');
      expect(fault?.message).not.toContain('0123456789abcdef');
    },
  );
});

it('wants the scheme Bearer', async () => {
  const { tokens } = clocked();
  expect(tokens.identify(undefined)).toBeNull();
  expect(await code((async () => tokens.identify('Basic abc'))())).toBe('TOKEN_INVALID');
  expect(await code((async () => tokens.identify('dev:alice'))())).toBe('TOKEN_INVALID');
});

function clockedAt(ms: number) {
  const made = clocked();
  made.clock.ms = ms;
  return made;
}
function sign(change: (jwt: SignJWT) => SignJWT, secret = visitSecret, ends = true, alg = 'HS256'): Promise<string> {
  const jwt = new SignJWT().setProtectedHeader({ alg }).setIssuer('usher').setSubject('v_1');
  if (ends) jwt.setExpirationTime(Date.UTC(2026, 10, 23) / 1000 + 60);
  return change(jwt).sign(new TextEncoder().encode(secret));
}
function changeVisitor(token: string): string {
  const [header, payload, signature] = token.split('.');
  const claims = JSON.parse(Buffer.from(payload!, 'base64url').toString());
  return [header, Buffer.from(JSON.stringify({ ...claims, sub: 'v_other' })).toString('base64url'), signature].join(
    '.',
  );
}
