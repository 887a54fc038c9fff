import type { SaxesParser } from 'saxes';
import { UsherError } from '../../errors.ts';
import { type FeedRow, fieldName, type ReadFeed, rowChars } from './row.ts';

/**
 * Google Merchant's XML: `item` of RSS or `entry` of Atom, fields with or without the prefix `g:`; of two of one name the one with it. Only what stands
 * directly in an item is a field of it. Nothing outside the text is read: entities are XML's own five.
 */
export const readXml: ReadFeed = async function* (chunks) {
  const { SaxesParser } = await import('saxes');
  const decoder = new TextDecoder();
  const items = new Items(new SaxesParser());
  for await (const chunk of chunks) {
    items.write(decoder.decode(chunk, { stream: true }));
    yield* items.take();
  }
  items.end(decoder.decode());
  yield* items.take();
};

class Items {
  readonly #parser: SaxesParser;
  #rows: FeedRow[] = [];
  #depth = 0;
  /** Depth of the item that is open; 0: none is. */
  #itemDepth = 0;
  #line = 0;
  #fields = new Map<string, string>();
  #merchant = new Set<string>();
  #text = '';
  #chars = 0;
  #seen = 0;

  constructor(parser: SaxesParser) {
    this.#parser = parser;
    parser.on('error', (error) => {
      throw new UsherError('COMMAND_FAILED', `the feed is not XML: ${error.message}`);
    });
    parser.on('xmldecl', ({ encoding }) => {
      if (encoding !== undefined && !/^utf-?8$/i.test(encoding))
        throw new UsherError('COMMAND_FAILED', `the feed is in ${encoding}; expected UTF-8`);
    });
    parser.on('opentag', ({ name, attributes }) => this.#open(name, attributes));
    parser.on('closetag', ({ name }) => this.#close(name));
    parser.on('text', (text) => this.#add(text));
    parser.on('cdata', (text) => this.#add(text));
  }

  write(text: string): void {
    this.#parser.write(text);
  }

  end(text: string): void {
    this.#parser.write(text).close();
    if (this.#seen === 0) throw new UsherError('COMMAND_FAILED', 'the feed has no item (RSS) and no entry (Atom)');
  }

  take(): readonly FeedRow[] {
    return this.#rows.splice(0);
  }

  #open(name: string, attributes: { readonly [name: string]: string }): void {
    this.#depth++;
    if (this.#itemDepth === 0 && (name === 'item' || name === 'entry')) {
      this.#itemDepth = this.#depth;
      this.#line = this.#parser.line;
      this.#fields = new Map();
      this.#merchant.clear();
      this.#chars = 0;
      this.#seen++;
    }
    // Atom tells a link as an attribute.
    this.#text = name === 'link' ? (attributes['href'] ?? '') : '';
  }

  #add(text: string): void {
    if (this.#itemDepth === 0) return;
    this.#chars += text.length;
    if (this.#chars <= rowChars) this.#text += text;
  }

  #close(name: string): void {
    if (this.#depth === this.#itemDepth + 1) this.#field(name);
    if (this.#depth === this.#itemDepth) this.#item();
    this.#depth--;
  }

  #field(written: string): void {
    const name = fieldName(written);
    const isMerchant = written.startsWith('g:');
    // The first of several, as of pictures, is the main one.
    if (this.#fields.has(name) && (!isMerchant || this.#merchant.has(name))) return;
    if (isMerchant) this.#merchant.add(name);
    this.#fields.set(name, this.#text);
  }

  #item(): void {
    this.#itemDepth = 0;
    this.#rows.push(
      this.#chars > rowChars
        ? { line: this.#line, message: `the item is longer than ${rowChars} characters` }
        : { line: this.#line, fields: this.#fields },
    );
  }
}
