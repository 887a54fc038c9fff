import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { whyNoEngines } from '../support/engines.ts';
import { freePorts } from '../support/ports.ts';

const script = join(import.meta.dirname, '..', '..', 'scripts', 'engines.ts');
const reason = await whyNoEngines();

describe.skipIf(reason !== null)(reason === null ? 'npm run engines' : `skipped: ${reason}`, () => {
  it('starts, finds and stops its own engines, and leaves those of others and their ports alone', async () => {
    const [kafka, controller, redis] = (await freePorts(3)) as [number, number, number];
    const [mine, other] = [0, 1].map(() => mkdtempSync(join(tmpdir(), 'usher-engines-'))) as [string, string];
    const run = async (data: string, command: string) => {
      const env = {
        ...process.env,
        USHER_TEST_ENGINE_PORTS: [kafka, controller, redis].join(','),
        USHER_TEST_ENGINE_DATA: join(data, 'data'),
      };
      const child = spawn(process.execPath, [script, command], { env });
      const [[code], out, err] = await Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)]);
      return { code, out, err };
    };
    try {
      const taken = createServer().listen(controller, '127.0.0.1');
      await once(taken, 'listening');
      const refused = await run(mine, 'start');
      expect(refused).toMatchObject({ code: 1, out: expect.stringContaining(`Redis  127.0.0.1:${redis}\n`) });
      expect(refused.err).toBe(
        `port ${controller}, which Kafka needs, is taken by a program that does not answer as Kafka\n`,
      );
      taken.close();

      const first = await run(mine, 'start');
      expect(first).toMatchObject({ code: 0, err: '' });
      expect(first.out).toContain(`Kafka  127.0.0.1:${kafka}\nRedis  127.0.0.1:${redis}  (was up)\n`);
      expect((await run(other, 'start')).out.match(/was up; started by another checkout or program/g)).toHaveLength(2);
      expect((await run(other, 'reset')).out).toContain(
        'Kafka was not running here; another one answers there, and is left alone',
      );
      expect((await run(mine, 'start')).out.match(/\(was up\)/g)).toHaveLength(2);
      expect((await run(mine, 'reset')).out).toContain('Kafka stopped\nRedis stopped\n');
      expect(existsSync(join(mine, 'data'))).toBe(false);
    } finally {
      await run(mine, 'stop');
      for (const folder of [mine, other]) rmSync(folder, { recursive: true, force: true });
    }
  }, 120_000);
});
