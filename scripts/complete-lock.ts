import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * npm leaves a platform's build of a package out of package-lock.json when the registry in use does not serve it, and `npm ci` then refuses
 * the lock everywhere. Run this after adding a dependency: it lists what the lock's own packages name as optional, without a
 * checksum. `npm run check` says when it is due.
 *
 *     node scripts/complete-lock.ts          writes package-lock.json
 */
interface LockedPackage {
  readonly version?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly engines?: Readonly<Record<string, string>>;
}
type Packages = Record<string, LockedPackage>;

const platform =
  /(android|darwin|freebsd|linux|openharmony|win32)-(arm64|arm|ia32|ppc64|riscv64|s390x|x64)(?:-(gnu|musl|gnueabihf|musleabihf|eabi|msvc))?$/;

/** What is missing, by its place in the lock. */
export function missingFromLock(packages: Packages): Packages {
  const missing: Packages = {};
  for (const [place, { optionalDependencies = {}, engines }] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      const [, os, cpu, libc] = platform.exec(name) ?? [];
      if (os === undefined || cpu === undefined || isLocked(packages, place, name)) continue;
      missing[`node_modules/${name}`] = {
        version,
        cpu: [cpu],
        dev: true,
        optional: true,
        os: [os],
        ...(os === 'linux' && libc !== undefined ? { libc: [libc.startsWith('musl') ? 'musl' : 'glibc'] } : {}),
        ...(engines === undefined ? {} : { engines }),
      } as LockedPackage;
    }
  }
  return missing;
}

/** Whether a package at this place finds the other one as Node.js does: beside it or further up. */
function isLocked(packages: Packages, place: string, name: string): boolean {
  for (let folder = place; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    if (`${folder === '' ? '' : `${folder}/`}node_modules/${name}` in packages) return true;
    if (folder === '') return false;
  }
}

export function readLock(root: string): { packages: Packages } {
  return JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: Packages };
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..');
  const lock = readLock(root);
  const missing = missingFromLock(lock.packages);
  lock.packages = Object.fromEntries(
    Object.entries({ ...lock.packages, ...missing }).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
  writeFileSync(join(root, 'package-lock.json'), `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`${Object.keys(missing).length} platform packages added to package-lock.json`);
}
