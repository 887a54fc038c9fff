import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Two copies of graphql make each other's schemas invalid at run time (docs/decisions/one-graphql.md), so exactly one may be installed. */
export function checkOneGraphql(root: string): readonly string[] {
  const copies = globSync('node_modules/**/node_modules/graphql/package.json', { cwd: root }).concat(
    existsSync(join(root, 'node_modules/graphql/package.json')) ? ['node_modules/graphql/package.json'] : [],
  );
  const listed = copies.map((path) => `${path} (${JSON.parse(readFileSync(join(root, path), 'utf8')).version})`);
  return listed.length === 1 ? [] : [`expected one copy of graphql, found ${listed.length}: ${listed.join(', ')}`];
}
