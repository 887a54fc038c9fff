import type { Ajv2020, ValidateFunction } from 'ajv/dist/2020.js';
import { pascalCase } from '../model/cases.ts';
import type { RawContentType } from './format.ts';
import { HoleSchemas } from './holes.ts';
import { closed, compileProperties, newAjv } from './jsonSchema.ts';
import type { ContentType } from './playbook.ts';
import type { Report } from './problem.ts';
import type { Named } from './shape.ts';
import { entryOf } from './tree.ts';

export interface CheckedContentType extends ContentType {
  /** As the schema, for data with holes: to be called with HoledData as `this`. */
  readonly check: ValidateFunction;
}

/** Types of the gateway's schema that a type of content could be called in GraphQL; a test of the gateway holds this list complete. */
export const takenContentNames: ReadonlySet<string> = new Set(['JsonContent']);

/** Checks the types of content that a playbook declares, by id. */
export function checkContentTypes(
  declared: Iterable<Named<RawContentType>>,
  report: Report,
): Map<string, CheckedContentType> {
  const types = new Map<string, CheckedContentType>();
  const idOf = new Map<string, string>();
  let compilers: Compilers | null = null;
  for (const named of declared) {
    const { id, span } = named;
    const graphqlName = `${pascalCase(id)}Content`;
    const other = idOf.get(graphqlName);
    if (takenContentNames.has(graphqlName) || other !== undefined) {
      const whose = other === undefined ? 'Usher’s own' : `that of ${other}`;
      report.error(span, `in GraphQL ${id} would be ${graphqlName}, which is ${whose}`, { expected: 'another name' });
      continue;
    }
    idOf.set(graphqlName, id);
    compilers ??= { ajv: newAjv(), holes: new HoleSchemas() };
    const type = checkContentType(named, graphqlName, compilers, report);
    if (type !== null) types.set(id, type);
  }
  return types;
}

interface Compilers {
  readonly ajv: Ajv2020;
  readonly holes: HoleSchemas;
}

function checkContentType(
  { id, span, value: raw }: Named<RawContentType>,
  graphqlName: string,
  { ajv, holes }: Compilers,
  report: Report,
): CheckedContentType | null {
  const tree = raw.properties;
  const taken = tree === undefined ? undefined : entryOf(entryOf(tree, 'properties')?.value ?? tree, 'type');
  const compiled = compileProperties(tree, span, closed, ajv, report);
  if (compiled === null) return null;
  const { schema } = compiled;
  if (Object.hasOwn((schema['properties'] ?? {}) as object, 'type')) {
    report.error(taken?.keySpan ?? span, 'type is the type of each content; a property cannot be called so', {
      expected: 'another name, such as kind',
    });
    return null;
  }
  return { id, name: raw.name?.value ?? id.replaceAll('_', ' '), schema, graphqlName, check: holes.compile(schema) };
}
