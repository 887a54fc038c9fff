import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, matchesGlob } from 'node:path';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { kafkaVersion } from '../../scripts/engines/kafka.ts';
import { loadConfig, settings } from '../../src/config.ts';
import { startTestUsher } from '../support/startUsher.ts';

/** Docker does not run where these tests do: they hold what can be known of its files without it. */
const root = join(import.meta.dirname, '..', '..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly stop_grace_period: string;
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>;
}

const secret = 'a secret of at least 32 characters';

/** As Docker reads it, with these variables. */
function compose(variables: Readonly<Record<string, string>> = { USHER_SECRET: secret }): Compose {
  const filled = (text: string) =>
    text.replaceAll(/\$\{(\w+)(:[-?])([^}]*)\}/g, (_all, name: string, how: string, rest: string) => {
      const value = variables[name] ?? '';
      if (value === '' && how === ':?') throw new Error(`${name}: ${rest}`);
      return value === '' ? rest : value;
    });
  const written = parse(read('docker-compose.yml'), { merge: true });
  return JSON.parse(JSON.stringify(written), (_key, value) => (typeof value === 'string' ? filled(value) : value));
}
const ours = ['worker', 'gateway'];
const healthCheck = (service: Service) => service.healthcheck!.test;

describe('docker-compose.yml', () => {
  it('is right by the schema of the Compose Specification', () => {
    // The specification's own schema, as the npm package dclint brings it.
    const schema = JSON.parse(read('node_modules/dclint/schemas/compose.schema.json'));
    const ajv = new Ajv({ strict: false, allErrors: true });
    addFormats.default(ajv);
    // The draft's name is written with https there.
    const check = ajv.compile({ ...schema, $schema: 'http://json-schema.org/draft-07/schema#' });
    expect([check(compose()), check.errors]).toEqual([true, null]);
    expect(check({ services: { worker: { image: 'usher', depend_on: [] } } })).toBe(false);
  });

  it('gives its processes settings that Usher has, with values that they take, and wants a secret', () => {
    const variables = Object.values(settings).map(({ env }) => env as string);
    for (const name of ours) {
      const { environment, command } = compose().services[name]!;
      expect(Object.keys(environment).filter((variable) => !variables.includes(variable))).toEqual([]);
      expect(command).toEqual(['start', '--role', name]);
      const { config } = loadConfig({ env: environment, flags: { role: name } });
      expect(config).toMatchObject({ role: name, mode: 'production', host: '0.0.0.0', port: 4000, shards: 64, secret });
    }
    expect(() => compose({})).toThrow(/USHER_SECRET.*32 characters/);
  });

  it('starts each process when its engines are ready, and gives it longer to stop than it takes', () => {
    const { services } = compose();
    for (const name of ours) {
      const { depends_on, stop_grace_period } = services[name]!;
      expect(depends_on).toEqual({ kafka: { condition: 'service_healthy' }, redis: { condition: 'service_healthy' } });
      for (const engine of Object.keys(depends_on!)) expect(services[engine]?.healthcheck).toBeDefined();
      expect(Number.parseInt(stop_grace_period, 10) * 1_000).toBeGreaterThan(settings.stopDeadlineMs.default!);
    }
  });

  it('has the Kafka that the tests run on, and a Redis that Usher takes', () => {
    const { kafka, redis } = compose().services;
    expect(kafka!.image).toBe(`apache/kafka:${kafkaVersion}`);
    expect(redis!.image).toMatch(/^redis:7/);
    expect(redis!.command!.join(' ')).toContain('--maxmemory-policy noeviction');
  });

  it('asks a process whether it is ready in a way that works', async () => {
    await using usher = await startTestUsher();
    for (const name of ours) {
      const [kind, command, ...args] = healthCheck(compose().services[name]!);
      expect([kind, command]).toEqual(['CMD', 'node']);
      const exitCode = async (url: string) => {
        const child = spawn(
          process.execPath,
          args.map((arg) => arg.replace('http://127.0.0.1:4000', url)),
        );
        return (await once(child, 'exit'))[0];
      };
      expect(await exitCode(usher.url)).toBe(0);
      // Nothing listens there.
      expect(await exitCode('http://127.0.0.1:1')).toBe(1);
    }
  });
});

describe('Dockerfile', () => {
  const dockerfile = read('Dockerfile');

  it('runs on the Node.js that the project pins', () => {
    const { devDependencies } = JSON.parse(read('package.json'));
    const images = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map((match) => match[1]);
    expect(images).toEqual(images.map(() => `node:${devDependencies.node}-slim`));
  });

  it('copies what is there, and all that Usher reads at run time', () => {
    const copied = [...dockerfile.matchAll(/^COPY --from=build \/usher\/(\S+)/gm)].map((match) => match[1]!);
    expect(copied.filter((path) => path !== 'dist' && !existsSync(join(root, path)))).toEqual([]);
    expect(copied).toEqual(expect.arrayContaining(['src', 'dist', 'node_modules', 'playbooks', 'package.json']));
    const ignored = read('.dockerignore').trim().split('\n');
    const needed = [...globSync(['src/**', 'playbooks/**'], { cwd: root }), 'package-lock.json', '.npmrc'];
    expect(needed.filter((path) => ignored.some((pattern) => matchesGlob(path, pattern)))).toEqual([]);
  });
});
