import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  isSpecifiedDirective,
  isSpecifiedScalarType,
  lexicographicSortSchema,
  printDirective,
  printType,
} from 'graphql';
import { buildSchema } from '../src/gateway/graphql/schema.ts';
import { readPlaybook } from '../src/playbook/read.ts';

/**
 * The files of schema/, printed from the code: `schema.graphql` is what every Usher has, `demo-store.graphql` what the demo store's playbook
 * adds (EventInput and its members, and its types of content). The two together are a whole schema.
 *
 *     node scripts/print-schema.ts          writes them
 */
const root = join(import.meta.dirname, '..');

export async function printSchemas(): Promise<Record<string, string>> {
  const folder = join(root, 'playbooks', 'demo-store');
  const { playbook, problems } = await readPlaybook(folder);
  if (playbook === null)
    throw new Error(
      `${folder} has mistakes: ${problems.map(({ file, line, message }) => `${file}:${line}: ${message}`).join('; ')}`,
    );
  const built = buildSchema(playbook);
  const schema = lexicographicSortSchema(built.schema);
  const fromPlaybook = new Set(built.playbookTypes);
  const types = Object.values(schema.getTypeMap()).filter(
    (type) => !type.name.startsWith('__') && !isSpecifiedScalarType(type),
  );
  const directives = schema.getDirectives().filter((directive) => !isSpecifiedDirective(directive));
  const core = types.filter((type) => !fromPlaybook.has(type.name));
  const added = types.filter((type) => fromPlaybook.has(type.name));
  const text = (intro: string, parts: readonly string[]) => `${intro}\n\n${parts.join('\n\n')}\n`;
  return {
    'schema.graphql': text(
      '# Printed from the code by `npm run codegen`. What every Usher has; the playbook adds EventInput and types of content: see demo-store.graphql.',
      [...directives.map((directive) => printDirective(directive)), ...core.map((type) => printType(type))],
    ),
    'demo-store.graphql': text(
      '# Printed from the code by `npm run codegen`. What playbooks/demo-store adds to schema.graphql.',
      added.map((type) => printType(type)),
    ),
  };
}

if (import.meta.main) {
  for (const [file, printed] of Object.entries(await printSchemas())) {
    writeFileSync(join(root, 'schema', file), printed);
    console.log(`schema/${file}`);
  }
}
