/**
 * Builds what browsers load into dist/web: index.html with its assets, and usher.js, the SDK as one file. Skipped when nothing
 * it is made of has changed since. Needs no network.
 */
import { createHash } from 'node:crypto';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type InlineConfig, version } from 'vite';

const root = join(import.meta.dirname, '..');
const out = join(root, 'dist', 'web');
const stamp = join(out, '.made-from');

const started = performance.now();
const hash = hashOfInputs();
if (readIfThere(stamp) === hash) {
  console.log('web: nothing changed, dist/web stays');
} else {
  const common = {
    root: join(root, 'src', 'web'),
    configFile: false,
    envDir: false,
    publicDir: false,
    logLevel: 'warn',
  } satisfies InlineConfig;
  await build({
    ...common,
    base: './',
    build: {
      outDir: out,
      emptyOutDir: true,
      target: 'es2024',
      modulePreload: { polyfill: false },
      rolldownOptions: { input: ['index.html', 'inbox.html'].map((page) => join(root, 'src', 'web', page)) },
    },
  });
  await build({
    ...common,
    build: {
      outDir: out,
      emptyOutDir: false,
      target: 'es2022',
      lib: {
        entry: join(root, 'src', 'sdk', 'global.ts'),
        formats: ['iife'],
        name: 'UsherScript',
        fileName: () => 'usher.js',
      },
    },
  });
  writeFileSync(stamp, hash);
  const bytes = readFileSync(join(out, 'usher.js')).byteLength;
  console.log(
    `web: dist/web built in ${Math.round(performance.now() - started)} ms (usher.js ${(bytes / 1000).toFixed(1)} kB)`,
  );
}

function hashOfInputs(): string {
  const sources = globSync('src/{web,sdk}/**/*.{ts,tsx,css,html}', { cwd: root }).sort();
  const hash = createHash('sha256').update(version);
  for (const path of [...sources, 'scripts/build-web.ts', 'package-lock.json', 'tsconfig.json']) {
    hash.update(`\0${path}\0`).update(readFileSync(join(root, path)));
  }
  return hash.digest('hex');
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
