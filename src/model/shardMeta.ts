/** What a shard knows of itself, written with every commit, last (semantics 4.1). */
export interface ShardMeta {
  readonly shard: number;
  /** N, chosen once; another N refuses to start. */
  readonly shards: number;
  /** Random token of the process that may commit. */
  readonly owner: string;
  readonly epoch: number;
  /** Changes when the shard is rebuilt or found rolled back; cursors carry it. */
  readonly lineage: string;
  /** Id of the last commit: 128 random bits, hex. */
  readonly commit: string;
  /** Offset of the next record to fold. */
  readonly position: number;
  /** How many outputs of the record at `position` were written by partial commits (9.1); 0 between records. */
  readonly outputs: number;
  /** Records below are in the topics of their types, as far as these exist (1.4). */
  readonly copied: number;
  /** Commits so far: tells apart two of the same position, which partial ones have. */
  readonly commits: number;
  /** The state is not whole: it is being made anew, and nobody reads it until it is (4.7). */
  readonly rebuilding: boolean;
  /** T: the largest stamp folded (3.1). */
  readonly appendTime: number;
  /** Null before the first activation. */
  readonly active: Activation | null;
  /** Id of the record at position − 1, to notice another log under the state (4.6). */
  readonly lastId: string | null;
  readonly counters: ShardCounters;
  /** Visitors in each segment (4.8); a segment that nobody is in may be absent. */
  readonly segments: { readonly [segment: string]: number };
}

export interface Activation {
  readonly playbook: string;
  readonly catalog: string;
  readonly foldVersion: number;
}

/** Sums over the shard's visitors, those that have gone included (2.5, 4.8). */
export interface ShardCounters {
  readonly folded: number;
  readonly duplicate: number;
  readonly late: number;
  readonly held: number;
  readonly skipped: number;
  readonly beyondWindow: number;
  readonly failed: number;
  readonly refusedTimers: number;
  /** Timers dropped because their rule or segment had gone (6.1), or their visitor had expired (4.5). */
  readonly droppedTimers: number;
  readonly timersFired: number;
  readonly rulesFired: number;
  /** Conditions and trait expressions that threw while running; what they belong to was passed over. */
  readonly ruleErrors: number;
  readonly slotChanges: number;
  /** Segments entered or left. */
  readonly segmentChanges: number;
  /** Events that rules appended, and those that they were refused: deeper than 4, of a historic visitor, or not fitting the tracking plan (9.2). */
  readonly emitted: number;
  readonly refusedEmits: number;
  /** Anonymous visitors that became known users (8.1), and records that said so of one that was one already. */
  readonly identified: number;
  readonly refusedIdentities: number;
  /** Events sent on to the user that their visitor turned out to be, by the shard that they came to (8.2). */
  readonly forwarded: number;
  /** Visitors taken in by users of this shard; and merges and forwards that had come before, or too late. */
  readonly merged: number;
  readonly repeatedMoves: number;
  /** Visitors found new; those there now are these less the expired ones. */
  readonly visitors: number;
  /** Visitors dropped, or found new again, because nothing was heard of them for the retention (4.5). */
  readonly expiredVisitors: number;
}

export const noCounts: ShardCounters = {
  folded: 0,
  duplicate: 0,
  late: 0,
  held: 0,
  skipped: 0,
  beyondWindow: 0,
  failed: 0,
  refusedTimers: 0,
  droppedTimers: 0,
  timersFired: 0,
  rulesFired: 0,
  ruleErrors: 0,
  slotChanges: 0,
  segmentChanges: 0,
  emitted: 0,
  refusedEmits: 0,
  identified: 0,
  refusedIdentities: 0,
  forwarded: 0,
  merged: 0,
  repeatedMoves: 0,
  visitors: 0,
  expiredVisitors: 0,
};
