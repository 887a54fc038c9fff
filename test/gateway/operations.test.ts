import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSchema, parse, validate } from 'graphql';
import { describe, expect, it } from 'vitest';

const folder = join(import.meta.dirname, '..', '..', 'schema');
const read = (name: string) => readFileSync(join(folder, name), 'utf8');

describe('the printed contract', () => {
  const schema = buildSchema(`${read('schema.graphql')}\n${read('demo-store.graphql')}`);
  const files = readdirSync(join(folder, 'operations'));
  it('is a whole schema together with what a playbook adds', () => {
    expect(schema.getType('EventInput')).toBeDefined();
    expect(files.length).toBeGreaterThan(5);
  });
  it.each(files)('has the operation as it is written in %s', (file) => {
    const fragment = file === 'slot.graphql' ? '' : read('operations/slot.graphql');
    const document = parse(`${read(`operations/${file}`)}\n${fragment}`);
    const unused = (message: string) => /Fragment "Slot" is never used/.test(message);
    expect(validate(schema, document).filter(({ message }) => !unused(message))).toEqual([]);
  });
  it('describes every operation, so that editors can explain it', () => {
    for (const field of Object.values(schema.getMutationType()!.getFields()))
      expect(field.description, field.name).toBeTruthy();
    for (const field of Object.values(schema.getQueryType()!.getFields()))
      expect(field.description, field.name).toBeTruthy();
    for (const field of Object.values(schema.getSubscriptionType()!.getFields()))
      expect(field.description, field.name).toBeTruthy();
  });
});
