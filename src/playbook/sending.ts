import type { Purpose } from '../model/purposes.ts';
import type { Expression, Hours, Text } from './playbook.ts';

/** Where messages go; what is secret is a setting, and only its name stands here. */
export type DestinationDefinition = {
  readonly id: string;
  readonly name: string;
  /** So many messages in that time at most; null: as many as there are. */
  readonly rate: { readonly times: number; readonly perMs: number } | null;
  /** A message that is not taken is tried again for so long, ms. */
  readonly retryForMs: number;
} & (
  | { readonly kind: 'smtp'; readonly from: string }
  | { readonly kind: 'webhook'; readonly url: string; readonly secret: string }
  | { readonly kind: 'topic' }
);

/** What a value of `with` is. */
export type WithType = 'text' | 'number' | 'money' | 'bool' | 'time';

/** A message that rules send (semantics 9). */
export interface ActionDefinition {
  readonly id: string;
  readonly name: string;
  readonly destination: string;
  /** What every rule that sends it gives. */
  readonly takes: ReadonlyMap<string, WithType>;
  /** The address of a mail; null: it is none. */
  readonly to: Expression | null;
  /** null: it is no mail. */
  readonly mail: MailTemplate | null;
  /** Where `${link}` leads; null: there is none. */
  readonly link: string | null;
  /** The cart and its lines are kept with the order: its mail shows them, or its payload has them. */
  readonly hasCart: boolean;
  /** When it waits, by the visitor's clocks; null: never. */
  readonly quiet: Hours | null;
  readonly purpose: Purpose | null;
  /** Dotted names of facts of the visitor that its texts read. */
  readonly reads: readonly string[];
}

/** Its texts read `with.…`, facts of the visitor, and what is given when it leaves. */
export interface MailTemplate {
  readonly subject: Text;
  readonly text: Text;
  readonly html: Text | null;
  /** Once for each line of the cart, with `line.…`. */
  readonly lines: { readonly text: Text; readonly html: Text | null } | null;
}
