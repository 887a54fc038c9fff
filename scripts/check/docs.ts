import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { flagOf, type SettingName, settings } from '../../src/config.ts';
import { errorCatalogue } from '../../src/errors.ts';

/** The docs name exactly the settings and error codes that the code has: neither side may have one more. */
export function checkDocs(root: string): readonly string[] {
  return [
    ...compare(root, 'docs/errors.md', /^\|\s*`([A-Z_]+)`/gm, Object.keys(errorCatalogue), 'error code'),
    ...compare(root, 'docs/config.md', /^\|\s*`([a-zA-Z]+)`/gm, Object.keys(settings), 'setting'),
    ...settingRows(root),
  ];
}

function compare(root: string, file: string, row: RegExp, inCode: readonly string[], what: string): readonly string[] {
  const inDocs = new Set([...readFileSync(join(root, file), 'utf8').matchAll(row)].map((match) => match[1]!));
  return [
    ...inCode.filter((name) => !inDocs.has(name)).map((name) => `${file} does not list the ${what} ${name}`),
    ...[...inDocs]
      .filter((name) => !inCode.includes(name))
      .map((name) => `${file} lists the ${what} ${name}, which the code does not have`),
  ];
}

/** Each row of docs/config.md tells the flag, the variable and the default that the code has. */
function settingRows(root: string): readonly string[] {
  const lines = readFileSync(join(root, 'docs/config.md'), 'utf8').split('\n');
  return (Object.keys(settings) as SettingName[]).flatMap((name) => {
    const row = lines.find((line) => line.startsWith(`| \`${name}\``)) ?? '';
    const { env, default: value } = settings[name] as { env: string; default: unknown };
    const shown = value === undefined || (Array.isArray(value) && value.length === 0) ? 'none' : String(value);
    return [`--${flagOf(name)}`, env, `\`${shown}\``]
      .filter((part) => row !== '' && !row.includes(part))
      .map((part) => `docs/config.md: the row of ${name} does not have ${part}`);
  });
}
