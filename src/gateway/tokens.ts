import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { errors as joseErrors, jwtVerify, SignJWT } from 'jose';
import { LRUCache } from 'lru-cache';
import { UsherError } from '../errors.ts';
import { isVisitorId } from '../model/shard.ts';
import { limits } from './limits.ts';

export const scopes = ['write', 'read', 'import', 'operate'] as const;
export type Scope = (typeof scopes)[number];

/** A server's key. Only its hash is kept, so that neither a dump nor the time of a comparison tells the key. */
export interface SecretKey {
  /** The first letters, for logs. */
  readonly name: string;
  readonly hash: Buffer;
  readonly scopes: ReadonlySet<Scope>;
}

/** Who asks. */
export type Identity =
  | {
      readonly kind: 'visitor';
      readonly visitor: string;
      /** ms since the epoch; null: a development name, which never expires. */
      readonly expiresAt: number | null;
    }
  | { readonly kind: 'key'; readonly key: SecretKey };

export interface Visit {
  readonly token: string;
  readonly visitor: string;
  readonly expiresAt: number;
}

/**
 * `usk_…=scope+scope` each.
 * @throws UsherError CONFIG_INVALID, without the key's text
 */
export function parseSecretKeys(list: readonly string[]): readonly SecretKey[] {
  return list.map((entry, i) => {
    const [key = '', names = ''] = entry.split('=', 2);
    const given = names.split('+');
    const wrong = given.find((name) => !scopes.includes(name as Scope));
    if (!/^usk_[A-Za-z0-9_-]{16,}$/.test(key) || wrong !== undefined) {
      const what =
        wrong === undefined
          ? 'the key must be usk_ and at least 16 letters, digits, _ or -'
          : `the scope "${wrong}" is none of ${scopes.join(', ')}`;
      throw new UsherError('CONFIG_INVALID', `secretKeys: entry ${i + 1} is not usk_…=scope+scope: ${what}`);
    }
    return { name: key.slice(0, 8), hash: hashOf(key), scopes: new Set(given as Scope[]) };
  });
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

const issuer = 'usher';
const bearer = /^Bearer +([^\s]+) *$/i;

/** Makes and checks what callers show in `Authorization`. */
export class Tokens {
  readonly #secret: Uint8Array;
  readonly #keys: readonly SecretKey[];
  readonly #development: boolean;
  readonly #lifeMs: number;
  readonly #now: () => number;
  readonly #verified = new LRUCache<string, Identity>({ max: limits.tokens });

  constructor(options: {
    readonly visitSecret: string;
    readonly keys: readonly SecretKey[];
    readonly development: boolean;
    readonly lifeMs: number;
    readonly now: () => number;
  }) {
    this.#secret = new TextEncoder().encode(options.visitSecret);
    this.#keys = options.keys;
    this.#development = options.development;
    this.#lifeMs = options.lifeMs;
    this.#now = options.now;
  }

  /**
   * Who the header names; null when there is none. Answers at once for what was checked before.
   * @throws UsherError TOKEN_INVALID, TOKEN_EXPIRED (as a rejection or at once)
   */
  identify(authorization: string | undefined): Identity | null | Promise<Identity> {
    if (authorization === undefined || authorization === '') return null;
    const known = this.#verified.get(authorization);
    if (known !== undefined) {
      if (known.kind === 'visitor' && known.expiresAt !== null && known.expiresAt <= this.#now()) throw expired();
      return known;
    }
    const token = bearer.exec(authorization)?.[1];
    if (token === undefined) throw new UsherError('TOKEN_INVALID', 'the Authorization header must be "Bearer TOKEN"');
    const identity = this.#identifyToken(token);
    if (!(identity instanceof Promise)) {
      this.#verified.set(authorization, identity);
      return identity;
    }
    return identity.then((found) => {
      this.#verified.set(authorization, found);
      return found;
    });
  }

  #identifyToken(token: string): Identity | Promise<Identity> {
    if (token.startsWith('usk_')) {
      const hash = hashOf(token);
      // All keys are compared, so that the time does not tell which one was near.
      const [key] = this.#keys.filter((candidate) => timingSafeEqual(candidate.hash, hash));
      if (key === undefined) throw new UsherError('TOKEN_INVALID', 'the secret key is none of this Usher');
      return { kind: 'key', key };
    }
    if (token.startsWith('dev:')) {
      if (!this.#development) throw new UsherError('TOKEN_INVALID', 'dev:NAME tokens work in development only');
      if (token.length === 4 || !isVisitorId(token))
        throw new UsherError('TOKEN_INVALID', 'expected dev:NAME with a name of at most 124 bytes');
      return { kind: 'visitor', visitor: token, expiresAt: null };
    }
    return this.#verify(token, null).then(({ visitor, expiresAt }) => ({ kind: 'visitor', visitor, expiresAt }));
  }

  /** A new visit, or the same visitor for longer: an expired token renews as long as its visitor may be remembered. */
  async startVisit(token: string | null, renewableMs: number): Promise<Visit> {
    return this.visitOf(
      token === null ? `v_${randomBytes(16).toString('base64url')}` : (await this.#verify(token, renewableMs)).visitor,
    );
  }

  /** A visit as this visitor, whoever asks: who may is the caller's to check. */
  async visitOf(visitor: string): Promise<Visit> {
    const nowS = Math.floor(this.#now() / 1000);
    const expiresS = nowS + Math.floor(this.#lifeMs / 1000);
    const signed = await new SignJWT()
      .setProtectedHeader({ alg: 'HS256' })
      .setIssuer(issuer)
      .setSubject(visitor)
      .setIssuedAt(nowS)
      .setExpirationTime(expiresS)
      .sign(this.#secret);
    return { token: signed, visitor, expiresAt: expiresS * 1000 };
  }

  async #verify(token: string, graceMs: number | null): Promise<{ visitor: string; expiresAt: number }> {
    try {
      const { payload } = await jwtVerify(token, this.#secret, {
        algorithms: ['HS256'],
        issuer,
        requiredClaims: ['sub', 'exp'],
        currentDate: new Date(this.#now()),
        clockTolerance: graceMs === null ? 0 : Math.floor(graceMs / 1000),
      });
      if (typeof payload.sub !== 'string' || !isVisitorId(payload.sub)) throw invalid();
      return { visitor: payload.sub, expiresAt: payload.exp! * 1000 };
    } catch (error) {
      if (error instanceof joseErrors.JWTExpired) throw expired();
      throw invalid();
    }
  }
}

function invalid(): UsherError {
  return new UsherError('TOKEN_INVALID', 'the token is not a visit token of this Usher');
}
function expired(): UsherError {
  return new UsherError('TOKEN_EXPIRED', 'the visit token has expired');
}
