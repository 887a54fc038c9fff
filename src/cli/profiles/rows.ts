import { UsherError } from '../../errors.ts';
import type { Json, JsonObject } from '../../model/json.ts';
import { nearest } from '../../model/nearest.ts';
import type { ToldProfile } from '../../model/profile.ts';
import { readCsvRows } from '../importing/csv.ts';
import { linesOf, unpacked } from '../replay/file.ts';

/** A row of a file of profiles, with its line there. */
export type ProfileRow =
  | { readonly line: number; readonly visitor: VisitorRef; readonly profile: ToldProfile }
  | { readonly line: number; readonly message: string };
export type VisitorRef = { readonly userId: string } | { readonly visitorId: string };

/** GraphQL's name of the type that the playbook declares for an attribute: CSV has texts alone. */
export type AttributeTypes = ReadonlyMap<string, string>;

const texts = ['email', 'name', 'locale', 'timeZone'] as const;
const members: readonly string[] = ['userId', 'visitorId', ...texts, 'attributes'];
/** A longer row is a bad one, not memory. */
const rowChars = 100_000;

/** JSON lines: one object a line, as updateProfile takes it, with userId or visitorId. */
export async function* readJsonLines(path: string): AsyncGenerator<ProfileRow, void> {
  let line = 0;
  for await (const text of linesOf(path)) {
    line++;
    if (text.trim() !== '') yield { line, ...parseLine(line === 1 ? text.replace(/^\ufeff/, '') : text) };
  }
}

type Parsed = { readonly visitor: VisitorRef; readonly profile: ToldProfile } | { readonly message: string };

function parseLine(text: string): Parsed {
  if (text.length > rowChars) return { message: `more than ${rowChars} characters` };
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (error) {
    return { message: `not JSON: ${(error as Error).message}` };
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return { message: 'expected an object' };
  const row = value as JsonObject;
  const unknown = Object.keys(row).find((name) => !members.includes(name));
  if (unknown !== undefined) {
    const near = nearest(unknown, members);
    return {
      message: `${unknown} is not a member of a profile${near === null ? '; attributes has the playbook’s own' : `; did you mean ${near}?`}`,
    };
  }
  return withVisitor(row, row);
}

/** CSV with a line of names first: userId or visitorId, email, name, locale, timeZone, attributes.NAME. An empty field is not told. */
export async function* readCsv(
  path: string,
  types: AttributeTypes,
  onPassedOver: (column: string) => void,
): AsyncGenerator<ProfileRow, void> {
  const columns = (header: readonly string[]) =>
    checkHeader(
      header.map((name) => name.trim()),
      onPassedOver,
    );
  for await (const row of readCsvRows(unpacked(path), { columns, delimiters: [','], rowChars }))
    yield 'message' in row ? row : { line: row.line, ...withVisitor(row.record, profileOf(row.record, types)) };
}

function checkHeader(columns: readonly string[], onPassedOver: (column: string) => void): string[] {
  if (!columns.includes('userId') && !columns.includes('visitorId')) {
    throw new UsherError(
      'COMMAND_FAILED',
      `the first line has no userId and no visitorId: ${columns.join(', ').slice(0, 200)}`,
    );
  }
  for (const column of columns) {
    if (!members.includes(column) && !column.startsWith('attributes.')) onPassedOver(column);
  }
  return [...columns];
}

function profileOf(record: Readonly<Record<string, string>>, types: AttributeTypes): ToldProfile {
  const told = (name: string) => (record[name] === '' ? undefined : record[name]);
  const attributes: Record<string, Json> = {};
  for (const [column, text] of Object.entries(record)) {
    if (!column.startsWith('attributes.') || text === '') continue;
    const name = column.slice('attributes.'.length);
    attributes[name] = attributeValue(text, types.get(name));
  }
  return {
    ...Object.fromEntries(texts.map((name) => [name, told(name)])),
    ...(Object.keys(attributes).length === 0 ? {} : { attributes }),
  };
}

/** As its type asks; what does not read so stays a text, and is refused with the reason. */
function attributeValue(text: string, type: string | undefined): Json {
  if (type === 'Boolean' && (text === 'true' || text === 'false')) return text === 'true';
  const isNumber = (type === 'Int' || type === 'Float') && text.trim() !== '' && Number.isFinite(Number(text));
  return isNumber ? Number(text) : text;
}

function withVisitor(row: { readonly [name: string]: Json | undefined }, profile: ToldProfile): Parsed {
  const { userId, visitorId } = row;
  const isUser = typeof userId === 'string' && userId !== '';
  const isVisitor = typeof visitorId === 'string' && visitorId !== '';
  if (isUser === isVisitor) return { message: `expected userId or visitorId${isUser ? ', not both' : ''}` };
  return { visitor: isUser ? { userId } : { visitorId: visitorId as string }, profile };
}
