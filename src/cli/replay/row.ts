import type { JsonObject } from '../../model/json.ts';

/** `EventRecordInput` of the GraphQL schema, as a replay sends it. */
export interface EventInput {
  readonly id: string;
  readonly type: string;
  readonly properties?: JsonObject;
  readonly occurredAt?: string;
  readonly source?: string;
  readonly sequence?: number;
  readonly skipped?: readonly number[];
  readonly context?: JsonObject;
  readonly visitor: { readonly userId: string } | { readonly visitorId: string };
}

/** A row that can be sent. */
export interface Row {
  readonly kind: 'row';
  /** From 1, a header not counted. */
  readonly number: number;
  /** Visitor id (`u:541312140`): whose rows must stay in order. */
  readonly visitor: string;
  /** When it happened, ms since the epoch. */
  readonly at: number;
  readonly event: EventInput;
  /** What the row tells of products, for a derived catalog. */
  readonly products?: readonly ProductFacts[];
}

export interface ProductFacts {
  readonly id: string;
  readonly category: string;
  readonly brand: string;
  /** Major units. */
  readonly price: number;
}

/** A row that no event can be made of. */
export interface BadRow {
  readonly kind: 'bad';
  readonly number: number;
  readonly message: string;
}

/** What a format knows of a row before it has a name (`identity.ts`). */
export type ParsedRow =
  | {
      readonly visitor: string;
      readonly at: number;
      /** Members that are absent are filled in from the row's identity. */
      readonly event: Omit<EventInput, 'id'> & { readonly id?: string };
      readonly products?: readonly ProductFacts[];
    }
  | { readonly message: string };

export interface FileFacts {
  /** SHA-256 of the unpacked content, hex. */
  readonly hash: string;
  readonly lines: number;
}

/** Reads one line; `number` counts rows from 1, and a line of several rows begins with it. */
export type RowParser = (line: string, number: number) => ParsedRow | readonly ParsedRow[];

export interface RowFormat {
  readonly name: string;
  /** Whether the first line names the columns. */
  readonly header: boolean;
  readonly rowsInLine: 'one' | 'many';
  /** @throws UsherError COMMAND_FAILED when the file is not of this format at all */
  open(header: string, file: FileFacts): RowParser;
}
