import { createHash } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { yamlFiles } from './read.ts';

/** How long the files must stay the same before they are taken as saved: editors write in several steps. */
const settleMs = 50;
/** Looked at this often when the system cannot tell of changes (some network folders). */
const pollMs = 1_000;

export interface PlaybookWatcher {
  /** Resolves when the content that changes are compared with has been read. */
  readonly ready: Promise<void>;
  /** How often the content has settled after the system told of a change, changed or not. */
  readonly settled: number;
  close(): void;
}

/**
 * Calls `onChange` when the content of a playbook's files has changed and settled: a save that changes nothing, or a touched
 * file, does not count. Errors of the folder are reported and watching goes on.
 */
export function watchPlaybook(
  folder: string,
  onChange: () => void,
  onError: (error: Error) => void = () => {},
): PlaybookWatcher {
  let closed = false;
  let settled = 0;
  let known: string | null = null;
  let timer: NodeJS.Timeout | null = null;
  let watcher: FSWatcher | null = null;
  let poll: NodeJS.Timeout | null = null;

  const look = async (before: string | null): Promise<void> => {
    const now = await fingerprint(folder).catch((error: Error) => {
      onError(error);
      return null;
    });
    if (closed || now === null) return;
    if (now !== before) {
      schedule(now);
      return;
    }
    settled++;
    if (known !== null && now !== known) {
      known = now;
      onChange();
    }
    known ??= now;
  };
  const schedule = (before: string | null): void => {
    if (closed) return;
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(() => void look(before), settleMs);
  };

  const first = fingerprint(folder).then(
    (now) => {
      known = now;
    },
    (error: Error) => onError(error),
  );
  try {
    watcher = watch(folder, { recursive: true }, () => void first.then(() => schedule(null)));
    watcher.on('error', (error: Error) => {
      onError(error);
      startPolling();
    });
  } catch (error) {
    onError(error as Error);
    startPolling();
  }
  function startPolling(): void {
    watcher?.close();
    poll ??= setInterval(() => schedule(null), pollMs);
  }
  return {
    ready: first,
    get settled() {
      return settled;
    },
    close() {
      closed = true;
      watcher?.close();
      if (timer !== null) clearTimeout(timer);
      if (poll !== null) clearInterval(poll);
    },
  };
}

async function fingerprint(folder: string): Promise<string> {
  const hash = createHash('sha256');
  for (const path of await yamlFiles(folder))
    hash
      .update(`${path}\0`)
      .update(await readFile(join(folder, path)))
      .update('\0');
  return hash.digest('hex');
}
