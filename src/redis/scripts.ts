import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Redis } from 'ioredis';

/** What a script is given: text, numbers, or bytes as they are. */
export type Argument = string | number | Buffer;

/** A Lua script of `lua/`, whose head tells its keys, arguments and answer. */
export interface Script {
  readonly lua: string;
  /** SHA-1 of the text, by which Redis knows a script that it was given once. */
  readonly sha: string;
}

function script(name: string): Script {
  const lua = readFileSync(join(import.meta.dirname, 'lua', `${name}.lua`), 'utf8');
  return { lua, sha: createHash('sha1').update(lua).digest('hex') };
}

export const scripts = {
  own: script('own'),
  commit: script('commit'),
  drained: script('drained'),
  snapshot: script('snapshot'),
  clear: script('clear'),
  wakeups: script('wakeups'),
  failed: script('failed'),
  putProducts: script('putProducts'),
  publish: script('publish'),
  actions: script('actions'),
  deadLetters: script('deadLetters'),
} as const;

/** Runs a script by its hash; one that Redis does not know, as after its restart, was not run and is sent whole. */
export async function runScript(
  client: Redis,
  { lua, sha }: Script,
  keys: readonly string[],
  args: readonly Argument[],
): Promise<unknown> {
  try {
    return await client.evalsha(sha, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return client.eval(lua, keys.length, ...keys, ...args);
  }
}
