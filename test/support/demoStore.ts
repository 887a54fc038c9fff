import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const demoStoreFolder = join(import.meta.dirname, '../../playbooks/demo-store');

/** The YAML files of the demo store, with their paths in its folder. */
export const demoStoreFiles: readonly (readonly [path: string, text: string])[] = readdirSync(demoStoreFolder, {
  recursive: true,
  encoding: 'utf8',
})
  .filter((path) => path.endsWith('.yaml'))
  .sort()
  .map((path) => [path, readFileSync(join(demoStoreFolder, path), 'utf8')]);
