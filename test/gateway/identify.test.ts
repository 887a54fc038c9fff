import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { exportJWK, SignJWT, UnsecuredJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { shardOf } from '../../src/model/shard.ts';
import { identityToken } from '../../src/sdk/server.ts';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';

const secret = 'what the backend signs with, 32 letters or more';
const next = 'what the backend will sign with, also long enough';
const folder = mkdtempSync(join(tmpdir(), 'usher-keys-'));
const keysFile = join(folder, 'keys.json');
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ed = generateKeyPairSync('ed25519');
const writeKeys = async (keys: object) =>
  writeFileSync(
    keysFile,
    JSON.stringify({
      keys: await Promise.all(Object.entries(keys).map(async ([kid, key]) => ({ ...(await exportJWK(key)), kid }))),
    }),
  );

let usher: TestUsher;
beforeAll(async () => {
  await writeKeys({ ec: publicKey, rsa: rsa.publicKey });
  usher = await startTestUsher({ identitySecrets: [secret, `next:${next}`], identityJwks: keysFile });
});
afterAll(async () => {
  await usher[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const mutation = `mutation($token: String!) { identify(input: { token: $token }) {
  visit { token visitorId expiresAt } error { code message hint retryable path } } }`;
async function identify(visitToken: string, token: string, at = usher) {
  const { data, errors } = await at.query(mutation, { token }, visitToken);
  if (errors !== undefined) throw new Error(errors[0]!.extensions?.code);
  return data.identify as {
    visit: { token: string; visitorId: string; expiresAt: string } | null;
    error: { code: string; message: string; hint: string; retryable: boolean } | null;
  };
}
async function newVisit(at = usher): Promise<{ token: string; visitorId: string }> {
  const { data } = await at.query('mutation { startVisit { token visitorId } }');
  return data.startVisit;
}
const codeOf = async (token: string) => (await identify((await newVisit()).token, token)).error?.code ?? 'fine';

/** The records of a visitor, as the log has them. */
function recordsOf(visitor: string) {
  const db = new DatabaseSync(join(usher.config.data, 'usher.db'), { readOnly: true });
  const rows = db.prepare(`select value from log_${shardOf(visitor, 8)} order by offset`).all() as { value: string }[];
  db.close();
  return rows.map(({ value }) => JSON.parse(value)).filter((record) => record.visitor === visitor);
}

const claims = (header: { alg: string; kid?: string } = { alg: 'HS256' }) =>
  new SignJWT().setProtectedHeader(header).setSubject('u1').setAudience('usher').setExpirationTime('10m');
const signed = (change: (jwt: SignJWT) => SignJWT = (jwt) => jwt, by = secret) =>
  change(claims()).sign(new TextEncoder().encode(by));

describe('identify', () => {
  it('writes down who the visitor is, then answers with a visit token of the user', async () => {
    const { token, visitorId } = await newVisit();
    const { visit, error } = await identify(token, identityToken({ userId: 'anna', secret }));
    expect(error).toBeNull();
    expect(visit!.visitorId).toBe('u:anna');
    expect(recordsOf(visitorId)).toEqual([
      { v: 1, kind: 'identified', id: expect.any(String), visitor: visitorId, user: 'u:anna' },
    ]);
    const track = 'mutation { trackEvent(input: { type: "page_viewed" }) { outcome { status } } }';
    await usher.query(track, {}, visit!.token);
    await usher.caughtUp();
    const { data } = await usher.query('{ visitor { id counts { folded } } }', {}, visit!.token);
    expect(data.visitor).toMatchObject({ id: 'u:anna', counts: { folded: 1 } });
  });

  it('may be asked again: with a token of the same user nothing is written for who is that user already', async () => {
    const { token } = await newVisit();
    const once = identityToken({ userId: 'again', secret });
    expect((await identify(token, once)).error).toBeNull();
    expect((await identify(token, once)).error).toBeNull();
    const { visit } = await identify(token, identityToken({ userId: 'again', secret }));
    const { visit: same } = await identify(visit!.token, identityToken({ userId: 'again', secret }));
    expect(same!.visitorId).toBe('u:again');
    expect(recordsOf('u:again').filter(({ kind }) => kind === 'identified')).toEqual([]);
  });

  it('refuses a second user on one device, and tells of reset', async () => {
    const { token } = await newVisit();
    const { visit } = await identify(token, identityToken({ userId: 'first', secret }));
    const { visit: none, error } = await identify(visit!.token, identityToken({ userId: 'second', secret }));
    expect(none).toBeNull();
    expect(error).toMatchObject({ code: 'IDENTITY_KNOWN_USER', hint: expect.stringContaining('reset') });
    expect(recordsOf('u:first').filter(({ kind }) => kind === 'identified')).toEqual([]);
  });

  it.each<[string, () => string | Promise<string>, string]>([
    [
      'signed by somebody else',
      () => identityToken({ userId: 'u1', secret: next.toUpperCase() }),
      'IDENTITY_TOKEN_INVALID',
    ],
    ['with changed claims', () => changed(identityToken({ userId: 'u1', secret })), 'IDENTITY_TOKEN_INVALID'],
    ['that is none', () => 'nonsense', 'IDENTITY_TOKEN_INVALID'],
    [
      'of algorithm none',
      () => new UnsecuredJWT({}).setSubject('u1').setAudience('usher').setExpirationTime('1m').encode(),
      'IDENTITY_TOKEN_INVALID',
    ],
    [
      'of another algorithm',
      () => claims({ alg: 'HS512' }).sign(new TextEncoder().encode(secret.repeat(2))),
      'IDENTITY_TOKEN_INVALID',
    ],
    [
      'signed with a public key as if it were a secret',
      async () => signed(undefined, JSON.stringify(await exportJWK(publicKey))),
      'IDENTITY_TOKEN_INVALID',
    ],
    [
      'of an unknown key pair',
      () => claims({ alg: 'EdDSA', kid: 'other' }).sign(ed.privateKey),
      'IDENTITY_TOKEN_INVALID',
    ],
    ['without a user', () => signed((jwt) => jwt.setSubject('')), 'IDENTITY_TOKEN_INVALID'],
    ['with a user of control characters', () => signed((jwt) => jwt.setSubject('u\n1')), 'IDENTITY_TOKEN_INVALID'],
    [
      'with a user too long for a visitor id',
      () => signed((jwt) => jwt.setSubject('x'.repeat(127))),
      'IDENTITY_TOKEN_INVALID',
    ],
    ['without an end', async () => withoutEnd(), 'IDENTITY_TOKEN_INVALID'],
    ['good for more than an hour', () => signed((jwt) => jwt.setExpirationTime('61m')), 'IDENTITY_TOKEN_INVALID'],
    ['that has expired', () => signed((jwt) => jwt.setExpirationTime('-6s')), 'IDENTITY_TOKEN_EXPIRED'],
    ['that is not valid yet', () => signed((jwt) => jwt.setNotBefore('20s')), 'IDENTITY_TOKEN_EARLY'],
    ['for another audience', () => signed((jwt) => jwt.setAudience('mail')), 'IDENTITY_TOKEN_AUDIENCE'],
    [
      'without an audience',
      () =>
        new SignJWT()
          .setProtectedHeader({ alg: 'HS256' })
          .setSubject('u1')
          .setExpirationTime('1m')
          .sign(new TextEncoder().encode(secret)),
      'IDENTITY_TOKEN_AUDIENCE',
    ],
  ])('refuses a token %s', async (_name, make, code) => {
    const { token, visitorId } = await newVisit();
    const { visit, error } = await identify(token, await make());
    expect([error?.code, visit]).toEqual([code, null]);
    expect(error!.message).not.toContain(secret);
    expect(recordsOf(visitorId)).toEqual([]);
  });

  it('takes a user id of up to 126 bytes, an end of up to an hour, and clocks that differ by seconds', async () => {
    expect(await codeOf(await signed((jwt) => jwt.setSubject('ü'.repeat(63))))).toBe('fine');
    expect(await codeOf(await signed((jwt) => jwt.setExpirationTime('60m')))).toBe('fine');
    expect(await codeOf(await signed((jwt) => jwt.setNotBefore('3s')))).toBe('fine');
  });

  it('takes tokens of each secret, by its name or by trying, so that one can follow another', async () => {
    expect(await codeOf(identityToken({ userId: 'u1', secret: next, kid: 'next' }))).toBe('fine');
    expect(await codeOf(identityToken({ userId: 'u1', secret: next }))).toBe('fine');
    expect(await codeOf(identityToken({ userId: 'u1', secret, kid: 'some name of the backend' }))).toBe('fine');
    expect(await codeOf(identityToken({ userId: 'u1', secret, kid: 'next' }))).toBe('IDENTITY_TOKEN_INVALID');
  });

  it('takes tokens of RS256, ES256 and EdDSA by a file of public keys, which is read again when a new one is used', async () => {
    const by = (alg: string, kid: string, key: Parameters<SignJWT['sign']>[0]) => claims({ alg, kid }).sign(key);
    expect(await codeOf(await by('ES256', 'ec', privateKey))).toBe('fine');
    expect(await codeOf(await by('RS256', 'rsa', rsa.privateKey))).toBe('fine');
    expect(await codeOf(await by('EdDSA', 'ed', ed.privateKey))).toBe('IDENTITY_TOKEN_INVALID');
    await writeKeys({ ec: publicKey, rsa: rsa.publicKey, ed: ed.publicKey });
    expect(await codeOf(await by('EdDSA', 'ed', ed.privateKey))).toBe('fine');
  });

  it('lets a token be shown by one visitor alone, as often as that one likes', async () => {
    const [one, other] = [await newVisit(), await newVisit()];
    const token = identityToken({ userId: 'once', secret });
    expect((await identify(one.token, token)).error).toBeNull();
    expect((await identify(other.token, token)).error?.code).toBe('IDENTITY_TOKEN_USED');
    expect((await identify(one.token, token)).error).toBeNull();
    // Without a jti the token itself is what is remembered.
    const plain = await signed((jwt) => jwt.setIssuedAt());
    expect(await codeOf(plain)).toBe('fine');
    expect(await codeOf(plain)).toBe('IDENTITY_TOKEN_USED');
  });

  it('refuses a token made for one visitor to any other', async () => {
    const [one, other] = [await newVisit(), await newVisit()];
    const token = identityToken({ userId: 'bound', secret, visitor: one.visitorId });
    expect((await identify(other.token, token)).error?.code).toBe('IDENTITY_TOKEN_USED');
    expect((await identify(one.token, token)).error).toBeNull();
  });

  it('is for visit tokens: a secret key is refused, and no token at all is told', async () => {
    const token = identityToken({ userId: 'u1', secret });
    await expect(identify(usher.devKey!, token)).rejects.toThrow('FORBIDDEN');
    await expect(identify('', token)).rejects.toThrow('TOKEN_INVALID');
  });

  it('makes known users of development names, by a name of its own kind too', async () => {
    const { visit, error } = await identify('dev:somebody', 'dev:carol');
    expect(error).toBeNull();
    expect(visit!.visitorId).toBe('u:carol');
    expect(recordsOf('dev:somebody')).toMatchObject([{ kind: 'identified', user: 'u:carol' }]);
    // Nobody can steal a name, so two browsers may show it.
    expect((await identify('dev:somebody-else', 'dev:carol')).error).toBeNull();
    expect((await identify('dev:x', 'dev:')).error?.code).toBe('IDENTITY_TOKEN_INVALID');
  });
});

describe('identify without what it needs', () => {
  it('says that no keys are set, and in production takes no dev:NAME', async () => {
    await using other = await startTestUsher({ mode: 'production', secret: 'x'.repeat(32) });
    const { token } = await newVisit(other);
    const outcome = async (identity: string) => (await identify(token, identity, other)).error?.code;
    expect(await outcome(identityToken({ userId: 'u1', secret }))).toBe('IDENTITY_NOT_SET_UP');
    expect(await outcome('dev:carol')).toBe('IDENTITY_NOT_SET_UP');
  });

  it('asks the address of a JWKS, and says so while it gives none', async () => {
    let answer = { status: 500, body: '' };
    const server = createServer((_request, response) => response.writeHead(answer.status).end(answer.body));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const identityJwks = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
    await using other = await startTestUsher({ identityJwks });
    const { token } = await newVisit(other);
    const own = await claims({ alg: 'ES256', kid: 'ec' }).sign(privateKey);
    expect((await identify(token, own, other)).error).toMatchObject({
      code: 'IDENTITY_KEYS_UNAVAILABLE',
      retryable: true,
    });
    answer = { status: 200, body: JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'ec' }] }) };
    expect((await identify(token, own, other)).error).toBeNull();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it.each<[string, Record<string, unknown>]>([
    ['a short secret', { identitySecrets: 'short' }],
    ['a JWKS over plain HTTP', { identityJwks: 'http://keys.example/jwks' }],
    ['a life of no hours', { identityMaxHours: 0 }],
  ])('refuses settings with %s', (_name, flags) => {
    expect(() => loadConfig({ flags })).toThrow(/identity/);
  });

  it('does not start with a file that is no JWKS', async () => {
    writeFileSync(keysFile, '{"keys": 1}');
    await expect(startTestUsher({ identityJwks: keysFile })).rejects.toThrow(/identityJwks.*no JWKS/);
  });
});

function changed(token: string): string {
  const [header, , signature] = token.split('.');
  const claims = { sub: createHash('md5').update(token).digest('hex'), aud: 'usher', exp: 4e9 };
  return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
}
function withoutEnd(): Promise<string> {
  return new SignJWT()
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject('u1')
    .setAudience('usher')
    .sign(new TextEncoder().encode(secret));
}
