import type { ShardCounters } from '../../model/shardMeta.ts';
import type { Tally } from './tally.ts';

/** What `usher replay` ends with; `--json` prints it as it is. Rows, unless a name says otherwise. */
export interface ReplayReport {
  readonly file: string;
  readonly rows: number;
  /** Rows that were sent and got a final answer. */
  readonly sent: number;
  readonly accepted: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly examples: Tally['examples'];
  readonly resent: number;
  readonly unknown: number;
  readonly deferred: number;
  readonly calls: number;
  readonly brokenCalls: number;
  readonly unreachedCalls: number;
  /** What the fold counted meanwhile: all that it folded, other clients' events included. */
  readonly fold: ShardCounters;
  /** Different visitors of the file. */
  readonly visitors: number;
  readonly seconds: { readonly sending: number; readonly untilFolded: number };
  readonly eventsPerSecond: number;
  readonly latencyMs: { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number };
  /** Up to when `--finish` moved the visitors' time, RFC 3339. */
  readonly finishedTo: string | null;
}

export function reportOf(
  tally: Tally,
  facts: Pick<ReplayReport, 'file' | 'rows' | 'fold' | 'visitors' | 'seconds' | 'finishedTo'>,
): ReplayReport {
  const ms = (percent: number) => Math.round(tally.latency.percentile(percent) / 10) / 100;
  const unreadable = tally.refused.get('ROW_UNREADABLE') ?? 0;
  return {
    ...facts,
    sent: tally.settled - unreadable,
    accepted: tally.accepted,
    refused: Object.fromEntries(tally.refused),
    examples: tally.examples,
    resent: tally.resent,
    unknown: tally.unknown,
    deferred: tally.deferred,
    calls: tally.calls,
    brokenCalls: tally.brokenCalls,
    unreachedCalls: tally.unreachedCalls,
    eventsPerSecond: Math.round((tally.settled - unreadable) / Math.max(0.001, facts.seconds.sending)),
    latencyMs:
      tally.latency.count === 0
        ? { p50: 0, p90: 0, p99: 0, max: 0 }
        : { p50: ms(50), p90: ms(90), p99: ms(99), max: Math.round(tally.latency.max / 10) / 100 },
  };
}

/** The report as people read it. */
export function printReport(report: ReplayReport): string {
  const n = (value: number) => value.toLocaleString('en');
  const { fold, latencyMs, seconds } = report;
  const refused = Object.entries(report.refused);
  const repeats = [
    report.resent > 0 ? `${n(report.resent)} rows sent again` : '',
    report.unknown > 0 ? `${n(report.unknown)} answered UNKNOWN` : '',
    report.deferred > 0 ? `${n(report.deferred)} asked to wait` : '',
    report.brokenCalls > 0 ? `${n(report.brokenCalls)} calls broken off` : '',
    report.unreachedCalls > 0 ? `${n(report.unreachedCalls)} calls that reached nobody` : '',
  ].filter(Boolean);
  const lines: [string, string][] = [
    ['sent', `${n(report.sent)} of ${n(report.rows)} rows, ${n(report.visitors)} visitors`],
    ['accepted', n(report.accepted)],
    ['refused', refused.length === 0 ? '0' : refused.map(([code, count]) => `${code} ${n(count)}`).join(', ')],
    ...(repeats.length === 0 ? [] : ([['repeated', repeats.join(', ')]] as [string, string][])),
    ['duplicates', n(fold.duplicate)],
    ['held', n(fold.held)],
    [
      'folded',
      `${n(fold.folded)}${fold.late > 0 ? `, ${n(fold.late)} of them late` : ''}${fold.failed > 0 ? `; ${n(fold.failed)} failed (usher failed list)` : ''}`,
    ],
    ['visitors', `${fold.visitors >= 0 ? '+' : ''}${n(fold.visitors)} in the state`],
    ['slot changes', n(fold.slotChanges)],
    ['rules fired', n(fold.rulesFired)],
    ...(report.finishedTo === null
      ? []
      : ([['finished', `time moved to ${report.finishedTo}, ${n(fold.timersFired)} timers fired`]] as [
          string,
          string,
        ][])),
    [
      'calls',
      `${n(report.calls)}: p50 ${latencyMs.p50} ms, p90 ${latencyMs.p90} ms, p99 ${latencyMs.p99} ms, max ${latencyMs.max} ms`,
    ],
    [
      'speed',
      `${n(report.eventsPerSecond)} events/s for ${seconds.sending.toFixed(1)} s; all folded ${Math.max(0, seconds.untilFolded).toFixed(1)} s later`,
    ],
  ];
  const width = Math.max(...lines.map(([name]) => name.length));
  return [
    ...lines.map(([name, text]) => `${name.padEnd(width)}  ${text}`),
    ...report.examples.map(({ row, code, message }) => `  row ${row}: ${code}: ${message}`),
  ].join('\n');
}
