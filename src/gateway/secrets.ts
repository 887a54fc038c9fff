import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { UsherError } from '../errors.ts';
import { parseSecretKeys, type SecretKey } from './tokens.ts';

export interface Secrets {
  readonly visitSecret: string;
  readonly keys: readonly SecretKey[];
  /** Development only: the secret key with every scope, also kept in the data folder for the command line. */
  readonly devKey: string | null;
}

/**
 * Production brings its secrets; development makes them once and keeps them in the data folder, readable by its user alone.
 * @throws UsherError CONFIG_INVALID
 */
export function readSecrets(config: Config): Secrets {
  const given = parseSecretKeys(config.secretKeys);
  if (config.mode === 'production') {
    if (config.secret === undefined) {
      throw new UsherError(
        'CONFIG_INVALID',
        'secret (USHER_SECRET) is not set; production needs one of at least 32 characters',
      );
    }
    return { visitSecret: config.secret, keys: given, devKey: null };
  }
  const devKey = keepSecret(config.data, 'dev-key', () => `usk_dev_${randomBytes(16).toString('hex')}`);
  const visitSecret = config.secret ?? keepSecret(config.data, 'dev-secret', () => randomBytes(32).toString('hex'));
  return { visitSecret, keys: [...given, ...parseSecretKeys([`${devKey}=write+read+import+operate`])], devKey };
}

function keepSecret(folder: string, name: string, make: () => string): string {
  const path = join(folder, name);
  try {
    mkdirSync(folder, { recursive: true });
    // Of several gateways that start over one folder, one makes it and the others read it.
    writeFileSync(path, `${make()}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return readFileSync(path, 'utf8').trim();
}
