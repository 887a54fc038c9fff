import { execFileSync } from 'node:child_process';
import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Cluster, type Process, startProcess } from './cluster.ts';

/** The same job in Kafka Streams: `$USHER_SAMPLES/peers/kafka-streams`. It is built beside the measurement's data. */
export class Peer {
  readonly #classPath: string;
  readonly #cluster: Cluster;

  /** null: there is no such folder. Building takes Maven and a JDK. */
  static build(cluster: Cluster): Peer | null {
    const samples = process.env['USHER_SAMPLES'];
    if (samples === undefined) return null;
    const source = join(samples, 'peers', 'kafka-streams');
    if (!existsSync(join(source, 'pom.xml'))) return null;
    const folder = join(cluster.folder, 'peer');
    cpSync(source, folder, { recursive: true });
    const run = (command: string, ...args: string[]) => execFileSync(command, args, { cwd: folder, stdio: 'pipe' });
    run('mvn', '-q', 'dependency:copy-dependencies', '-DoutputDirectory=target/libs', '-DincludeScope=runtime');
    const sources = ['Personalizer', 'Load'].map((name) => `src/main/java/peer/${name}.java`);
    run('javac', '--release', '17', '-cp', 'target/libs/*', '-d', 'target/classes', ...sources);
    return new Peer(cluster, `${join(folder, 'target/classes')}:${join(folder, 'target/libs')}/*`);
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
