import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/**
 * What each folder of src may import from the others, besides itself. A port (`log/eventLog.ts`, …) is listed by its file.
 * `errors`, `config` and `compose` are files of src itself.
 */
const ports = [
  'log/eventLog.ts',
  'log/inputs.ts',
  'log/outputs.ts',
  'log/snapshots.ts',
  'state/stateStore.ts',
  'push/broadcast.ts',
  'actions/destination.ts',
];
const mayImport: Readonly<Record<string, readonly string[]>> = {
  'errors.ts': [],
  'config.ts': ['errors.ts', 'model'],
  model: [],
  cel: ['model', 'errors.ts', 'playbook/playbook.ts'],
  playbook: ['model', 'errors.ts', 'cel'],
  decide: ['model', 'errors.ts', 'playbook'],
  fold: ['model', 'errors.ts', 'playbook', 'decide', 'state/stateStore.ts'],
  sqlite: ['model', 'errors.ts'],
  kafka: ['model', 'errors.ts'],
  redis: ['model', 'errors.ts'],
  log: [
    'model',
    'errors.ts',
    'sqlite',
    'kafka',
    'log/eventLog.ts',
    'log/inputs.ts',
    'log/outputs.ts',
    'log/snapshots.ts',
  ],
  state: ['model', 'errors.ts', 'sqlite', 'redis', 'state/stateStore.ts', 'push/broadcast.ts'],
  push: ['model', 'errors.ts', 'redis', 'state/stateStore.ts', 'push/broadcast.ts'],
  observe: ['model', 'errors.ts', 'config.ts'],
  actions: ['model', 'errors.ts', 'playbook', ...ports],
  worker: ['model', 'errors.ts', 'playbook', 'decide', 'fold', 'actions', ...ports],
  gateway: ['model', 'errors.ts', 'config.ts', 'playbook', 'decide', 'fold', 'observe', 'push/hub.ts', ...ports],
  roles: [
    'model',
    'errors.ts',
    'config.ts',
    'playbook',
    'decide',
    'fold',
    'observe',
    'actions',
    'worker',
    'gateway',
    'push/hub.ts',
    ...ports,
  ],
  cli: ['model', 'errors.ts', 'config.ts', 'playbook', 'cel', 'compose.ts'],
  sdk: [],
  web: ['sdk'],
};
const portFiles = new Set(ports);
/** Only these may touch the process: everything else gets what it needs handed in. */
const mayTouchProcess = new Set(['main.ts']);
/** No I/O, clock or chance. */
const pureFolders = ['fold', 'decide', 'cel', 'model'];
const impure =
  /\b(Date\.now|new Date\(\)|performance\.now|Math\.random|setTimeout|setInterval|fetch)\(|from 'node:(?!buffer)/;

export function checkDirections(root: string): readonly string[] {
  const src = join(root, 'src');
  const findings: string[] = [];
  for (const file of globSync('**/*.{ts,tsx}', { cwd: src })) {
    const text = readFileSync(join(src, file), 'utf8');
    const folder = file.includes('/') ? file.slice(0, file.indexOf('/')) : file;
    for (const target of importsOf(text)) {
      const to = relative(src, join(src, dirname(file), target));
      const finding = judge(file, folder, to);
      if (finding !== null) findings.push(finding);
    }
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    if (/\bprocess\./.test(code) && !mayTouchProcess.has(file))
      findings.push(`${file} touches process; only main.ts may`);
    const found = pureFolders.includes(folder) ? impure.exec(code) : null;
    if (found !== null) findings.push(`${file} is in a pure folder and uses ${found[0]}`);
  }
  return findings;
}

function judge(file: string, folder: string, to: string): string | null {
  if (file === 'main.ts' || file === 'compose.ts') return null;
  if (to.startsWith('..')) return folder === 'web' || folder === 'cli' ? null : `${file} imports ${to}, outside src`;
  const toFolder = to.includes('/') ? to.slice(0, to.indexOf('/')) : to;
  if (portFiles.has(file))
    return toFolder === 'model' ? null : `${file} is a port and imports ${to}; a port imports model only`;
  if (toFolder === folder) {
    const bothAdapters =
      ['log', 'state', 'push'].includes(folder) &&
      !portFiles.has(to) &&
      /^(sqlite|kafka|redis|local)/.test(to.slice(to.indexOf('/') + 1));
    return bothAdapters ? `${file} imports ${to}: an adapter never imports another` : null;
  }
  const allowed = mayImport[folder];
  if (allowed === undefined) return `${file} is in ${folder}, which scripts/check/directions.ts does not know`;
  return allowed.includes(toFolder) || allowed.includes(to)
    ? null
    : `${file} imports ${to}; ${folder} may import ${allowed.join(', ') || 'nothing'}`;
}

function importsOf(text: string): readonly string[] {
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map((match) => match[1]!);
}
