import { UsherError } from '../../errors.ts';
import { type FeedRow, fieldName, type ReadFeed, rowChars } from './row.ts';

/** A JSON object a line. */
export const readJsonLines: ReadFeed = async function* (chunks) {
  const decoder = new TextDecoder();
  let text = '';
  let line = 0;
  for await (const chunk of chunks) {
    text += decoder.decode(chunk, { stream: true });
    const lines = text.split('\n');
    text = lines.pop()!;
    for (const each of lines) yield* rowOf(each, ++line);
    if (text.length > rowChars)
      throw new UsherError('COMMAND_FAILED', `line ${line + 1} is longer than ${rowChars} characters: no JSON lines?`);
  }
  yield* rowOf(text + decoder.decode(), ++line);
};

function rowOf(text: string, line: number): readonly FeedRow[] {
  if (text.trim() === '') return [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return [{ line, message: `not JSON: ${(error as Error).message}` }];
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    return [{ line, message: 'expected an object a line' }];
  const fields = new Map<string, string>();
  for (const [name, member] of Object.entries(value)) {
    if (typeof member === 'string' || typeof member === 'number') fields.set(fieldName(name), String(member));
    // What is no text or number is none of a product's fields, or a wrong one.
    else if (member !== null) fields.set(fieldName(name), JSON.stringify(member));
  }
  return [{ line, fields }];
}
