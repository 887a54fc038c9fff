/** Whether this process should get requests, and if not, why. */
export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
  /** What does not work, though what remains is worth asking for: slots without Kafka, last known slots without Redis. */
  readonly degraded: readonly string[];
}

/** A shard that is further behind is not ready: what it answers would be too old to be of use. */
const readyLagRecords = 10_000;

export function readinessOf(reasons: readonly string[], degraded: readonly string[] = []): Readiness {
  return { ready: reasons.length === 0, reasons, degraded };
}

/** The shards that are too far behind, as reasons. */
export function lagReasons(lag: ReadonlyMap<number, number>): readonly string[] {
  return [...lag]
    .filter(([, records]) => records > readyLagRecords)
    .map(([shard, records]) => `shard ${shard} is ${records} records behind; at most ${readyLagRecords} are ready`);
}

const probeDeadlineMs = 1_000;
const probeEveryMs = 1_000;

/**
 * Asks engines whether they answer; at most once a second, because anybody may call /ready as often as they like.
 * @param engines by name, something small to ask each
 * @returns what does not answer, as reasons
 */
export function engineProbe(
  engines: Readonly<Record<string, () => Promise<unknown>>>,
): () => Promise<readonly string[]> {
  let last: { readonly at: number; readonly faults: Promise<readonly string[]> } | null = null;
  return () => {
    const now = performance.now();
    if (last === null || now - last.at >= probeEveryMs) last = { at: now, faults: probeAll(engines) };
    return last.faults;
  };
}

async function probeAll(engines: Readonly<Record<string, () => Promise<unknown>>>): Promise<readonly string[]> {
  const answers = await Promise.all(
    Object.entries(engines).map(async ([name, ask]) => {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<string>((resolve) => {
        timer = setTimeout(resolve, probeDeadlineMs, `${name} did not answer in ${probeDeadlineMs} ms`);
      });
      const answered = ask().then(
        () => null,
        (error: Error) => `${name} does not answer: ${error.message}`,
      );
      return Promise.race([answered, late]).finally(() => clearTimeout(timer));
    }),
  );
  return answers.filter((fault) => fault !== null);
}
