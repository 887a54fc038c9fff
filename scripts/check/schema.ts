import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { printSchemas } from '../print-schema.ts';

/** The printed schemas are contracts that others build on: a change of the code shows up in them, and in review. */
export async function checkSchema(root: string): Promise<readonly string[]> {
  const findings: string[] = [];
  for (const [file, printed] of Object.entries(await printSchemas())) {
    if (readFileSync(join(root, 'schema', file), 'utf8') !== printed) {
      findings.push(`schema/${file} is stale; npm run codegen prints it anew`);
    }
  }
  return findings;
}
