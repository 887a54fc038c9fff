import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cluster, type Process, startProcess } from './cluster.ts';

/** The class path of a program of `$USHER_SAMPLES/peers`, copied and built in a folder; null: there is none. Takes Maven and a JDK. */
function buildPeer(name: string, folder: string, sources: readonly string[]): string | null {
  const samples = process.env['USHER_SAMPLES'];
  if (samples === undefined) return null;
  const source = join(samples, 'peers', name);
  if (!existsSync(join(source, 'pom.xml'))) return null;
  cpSync(source, folder, { recursive: true });
  const run = (command: string, ...args: string[]) => execFileSync(command, args, { cwd: folder, stdio: 'pipe' });
  run('mvn', '-q', 'dependency:copy-dependencies', '-DoutputDirectory=target/libs', '-DincludeScope=runtime');
  run('javac', '--release', '17', '-cp', 'target/libs/*', '-d', 'target/classes', ...sources);
  return `${join(folder, 'target/classes')}:${join(folder, 'target/libs')}/*`;
}

/** What Drools takes for one event with so many rules, and how many of them run. */
export interface Drools {
  readonly rules: number;
  readonly micros: number;
  readonly ran: number;
}

/** One run of `$USHER_SAMPLES/peers/rules`, which prints that many lines; null: there is no such folder. */
export async function runDrools(lines: number): Promise<readonly Drools[] | null> {
  const folder = mkdtempSync(join(tmpdir(), 'usher-bench-'));
  try {
    const classPath = buildPeer('rules', folder, ['src/peer/DroolsRules.java']);
    if (classPath === null) return null;
    const said = await startProcess(1, 'java', ['-cp', classPath, 'peer.DroolsRules']).ended();
    const found = [...said.matchAll(/rules=(\d+) .*us\/event=([\d.]+) matched\/event=([\d.]+)/g)];
    if (found.length !== lines) throw new Error(`expected ${lines} lines of Drools, came:\n${said}`);
    return found.map(([, rules, micros, ran]) => ({ rules: Number(rules), micros: Number(micros), ran: Number(ran) }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The same job in Kafka Streams: `$USHER_SAMPLES/peers/kafka-streams`. It is built beside the measurement's data. */
export class Peer {
  readonly #classPath: string;
  readonly #cluster: Cluster;

  /** null: there is no such folder. */
  static build(cluster: Cluster): Peer | null {
    const sources = ['Personalizer', 'Load'].map((name) => `src/main/java/peer/${name}.java`);
    const classPath = buildPeer('kafka-streams', join(cluster.folder, 'peer'), sources);
    return classPath === null ? null : new Peer(cluster, classPath);
  }

  private constructor(cluster: Cluster, classPath: string) {
    this.#cluster = cluster;
    this.#classPath = classPath;
  }

  /** One stream thread. The application's name is its consumer group, so a new name begins at the beginning. */
  start(
    application: string,
    core: number | string,
    settings: { readonly guarantee: string; readonly commitMs: number; readonly rules: number; readonly from: string },
  ): Process {
    const { guarantee, commitMs, rules, from } = settings;
    const args = [application, guarantee, rules, 1, commitMs].map(String);
    return this.#java(core, [`-Dreset=${from}`, `-Djava.io.tmpdir=${this.#cluster.folder}`], 'Personalizer', args);
  }

  /** One run of its loader on the measurement's core; answers the line it prints. */
  async load(...args: readonly (string | number)[]): Promise<string> {
    const loader = this.#java(1, [], 'Load', args.map(String));
    return loader.ended();
  }

  #java(core: number | string, options: readonly string[], name: string, args: readonly string[]): Process {
    const { address } = this.#cluster.kafka;
    return startProcess(core, 'java', [...options, '-cp', this.#classPath, `peer.${name}`, address, ...args]);
  }
}
