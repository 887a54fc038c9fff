/** Another process has the shard: what this one has in memory of it is worth nothing (semantics 4.2). */
export class Fenced extends Error {}
