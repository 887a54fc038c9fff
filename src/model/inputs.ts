/** What the records of an input topic are, and which of their members are not properties (semantics 1.4). */
export interface InputMapping {
  readonly topic: string;
  /** A type of the tracking plan. */
  readonly type: string;
  /** The member that holds the visitor id. Neither this nor `user`: the record's key is the visitor id. */
  readonly visitor?: string | undefined;
  /** The member that holds the id of a known user; its visitor id is u:<user>. */
  readonly user?: string | undefined;
  /** The member that says when it happened, RFC 3339 or ms since the epoch. Left out: the record's own time. */
  readonly at?: string | undefined;
  /** The member that is the event's id, the same whenever the record is produced again. Left out: the record's place is. */
  readonly id?: string | undefined;
}
