import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  decodeProtectedHeader,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  errors as joseErrors,
  jwtVerify,
} from 'jose';
import { LRUCache } from 'lru-cache';
import type { Config } from '../config.ts';
import { UsherError } from '../errors.ts';
import { isVisitorId } from '../model/shard.ts';
import { limits } from './limits.ts';

/** What a site's backend says of the person at this browser. */
export interface Claim {
  readonly userId: string;
  /** The token that says so: its `jti`, or its hash. */
  readonly tokenId: string;
  /** The only visitor that may show the token; null: any one. */
  readonly visitor: string | null;
}

interface Secret {
  readonly kid: string | null;
  readonly bytes: Uint8Array;
}

const asymmetric = ['RS256', 'ES256', 'EdDSA', 'Ed25519'];
/** Clocks of two machines: `exp` and `nbf` hold within this. */
const clockToleranceS = 5;

export type IdentityConfig = Pick<
  Config,
  'mode' | 'identitySecrets' | 'identityJwks' | 'identityAudience' | 'identityMaxHours'
>;

/** Checks the tokens by which a site's backend vouches for a user, and that each is shown by one visitor alone. */
export class IdentityTokens {
  readonly #config: IdentityConfig;
  readonly #now: () => number;
  readonly #secrets: readonly Secret[];
  readonly #jwks: JWTVerifyGetKey | null;
  /** Who showed a token first. Of this process: a token is good for minutes, and is no use to another visitor of this gateway meanwhile. */
  readonly #shownBy = new LRUCache<string, string>({ max: limits.identityTokens });

  /** @throws UsherError CONFIG_INVALID when a file of keys is none */
  constructor(config: IdentityConfig, now: () => number) {
    this.#config = config;
    this.#now = now;
    this.#secrets = config.identitySecrets.map(readSecret);
    this.#jwks = config.identityJwks === undefined ? null : keySet(config.identityJwks);
  }

  /**
   * Who the token says that this visitor is.
   * @throws UsherError IDENTITY_…
   */
  async verify(token: string, visitor: string): Promise<Claim> {
    const claim = this.#development(token) ?? (await this.#signed(token));
    if (claim.visitor !== null && claim.visitor !== visitor)
      throw new UsherError('IDENTITY_TOKEN_USED', 'the token was made for another visitor');
    // Of a development name there is no token that could be stolen.
    if (claim.tokenId === '') return claim;
    const first = this.#shownBy.get(claim.tokenId);
    if (first !== undefined && first !== visitor)
      throw new UsherError('IDENTITY_TOKEN_USED', 'another visitor has shown this token before');
    this.#shownBy.set(claim.tokenId, visitor);
    return claim;
  }

  #development(token: string): Claim | null {
    if (!token.startsWith('dev:') || this.#config.mode !== 'development') return null;
    return { userId: checkUserId(token.slice('dev:'.length)), tokenId: '', visitor: null };
  }

  async #signed(token: string): Promise<Claim> {
    if (this.#secrets.length === 0 && this.#jwks === null) {
      const dev = this.#config.mode === 'development' ? '; in development dev:NAME is taken as well' : '';
      throw new UsherError('IDENTITY_NOT_SET_UP', `neither identitySecrets nor identityJwks is set${dev}`);
    }
    const payload = await this.#payloadOf(token);
    const { jti, visitor } = payload;
    if (jti !== undefined && (typeof jti !== 'string' || jti === '')) throw invalid('jti: expected a text');
    if (visitor !== undefined && typeof visitor !== 'string') throw invalid('visitor: expected a visitor id');
    return {
      userId: checkUserId(payload.sub),
      tokenId: createHash('sha256')
        .update(jti === undefined ? `token ${token}` : `jti ${jti}`)
        .digest('base64'),
      visitor: visitor ?? null,
    };
  }

  async #payloadOf(token: string): Promise<JWTPayload> {
    const { identityAudience: audience, identityMaxHours: maxHours } = this.#config;
    const options: JWTVerifyOptions = {
      audience,
      requiredClaims: ['sub', 'exp'],
      currentDate: new Date(this.#now()),
      clockTolerance: clockToleranceS,
    };
    let payload: JWTPayload;
    try {
      payload = await this.#verified(token, options);
    } catch (error) {
      throw told(error, audience);
    }
    const leftS = payload.exp! - this.#now() / 1000;
    if (leftS > maxHours * 3600 + clockToleranceS)
      throw invalid(`exp is ${(leftS / 3600).toFixed(1)} h away; at most ${maxHours} h are taken`);
    return payload;
  }

  /** @throws what jose throws */
  async #verified(token: string, options: JWTVerifyOptions): Promise<JWTPayload> {
    const { alg, kid } = decodeProtectedHeader(token);
    if (alg !== 'HS256') {
      if (this.#jwks === null || !asymmetric.includes(String(alg)))
        throw new joseErrors.JOSEAlgNotAllowed(`the algorithm ${alg} is not taken`);
      return (await jwtVerify(token, this.#jwks, { ...options, algorithms: asymmetric })).payload;
    }
    // A secret with a name is asked by its name; those without are all tried, while one follows another.
    const named = this.#secrets.filter((secret) => secret.kid !== null && secret.kid === kid);
    const candidates =
      named.length > 0 ? named : this.#secrets.filter((secret) => kid === undefined || secret.kid === null);
    let refused: unknown = new joseErrors.JWSSignatureVerificationFailed();
    for (const { bytes } of candidates) {
      try {
        return (await jwtVerify(token, bytes, { ...options, algorithms: ['HS256'] })).payload;
      } catch (error) {
        if (!(error instanceof joseErrors.JWSSignatureVerificationFailed)) throw error;
        refused = error;
      }
    }
    throw refused;
  }
}

/** `SECRET`, or `KID:SECRET`; the setting's own check has seen that it is one. */
function readSecret(entry: string): Secret {
  const [, kid, secret] = /^([\w-]{1,64}):(.{32,})$/.exec(entry) ?? [null, null, entry];
  return { kid: kid ?? null, bytes: new TextEncoder().encode(secret) };
}

function keySet(place: string): JWTVerifyGetKey {
  return /^https?:/.test(place)
    ? createRemoteJWKSet(new URL(place), { timeoutDuration: 5_000, cooldownDuration: 30_000, cacheMaxAge: 600_000 })
    : keyFile(place);
}

/** The keys of a file, which is read again when a token names one that it did not have. */
function keyFile(path: string): JWTVerifyGetKey {
  let text = '';
  let find: JWTVerifyGetKey;
  const read = () => {
    try {
      const now = readFileSync(path, 'utf8');
      if (now !== text) find = createLocalJWKSet(JSON.parse(now));
      text = now;
    } catch (error) {
      throw new UsherError('CONFIG_INVALID', `identityJwks: ${path} is no JWKS: ${(error as Error).message}`);
    }
  };
  read();
  return async (header, token) => {
    try {
      return await find(header, token);
    } catch (error) {
      if (!(error instanceof joseErrors.JWKSNoMatchingKey)) throw error;
      read();
      return find(header, token);
    }
  };
}

function checkUserId(sub: unknown): string {
  if (typeof sub !== 'string' || sub === '' || !isVisitorId(`u:${sub}`))
    throw invalid('sub: expected a user id of 1 to 126 bytes of UTF-8 without control characters');
  return sub;
}

/** The fault as the page may hear it: nothing of what the token should have been signed with. */
function told(error: unknown, audience: string): UsherError {
  if (error instanceof joseErrors.JWTExpired) return new UsherError('IDENTITY_TOKEN_EXPIRED', 'the token has expired');
  if (error instanceof joseErrors.JWTClaimValidationFailed) {
    if (error.claim === 'nbf' && error.reason === 'check_failed')
      return new UsherError('IDENTITY_TOKEN_EARLY', 'the token is not valid yet (nbf)');
    if (error.claim === 'aud')
      return new UsherError('IDENTITY_TOKEN_AUDIENCE', `aud: expected ${JSON.stringify(audience)}`);
    return invalid(error.message);
  }
  const isOfToken =
    error instanceof joseErrors.JOSEError &&
    !(error instanceof joseErrors.JWKSTimeout) &&
    !(error instanceof joseErrors.JWKSInvalid) &&
    error.code !== 'ERR_JOSE_GENERIC';
  if (isOfToken || (error instanceof TypeError && /token/i.test(error.message)))
    return invalid('it is not signed with a key that this Usher was given');
  // Neither the file nor the address gave keys: a matter of the operator, not of the token.
  return new UsherError('IDENTITY_KEYS_UNAVAILABLE', 'the keys that tokens are checked with could not be had', {
    cause: error,
  });
}

function invalid(why: string): UsherError {
  return new UsherError('IDENTITY_TOKEN_INVALID', `no token of the site's backend: ${why}`);
}
