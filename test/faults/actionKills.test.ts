import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { localBroadcast } from '../../src/push/localBroadcast.ts';
import { openSqlite } from '../../src/sqlite/sqlite.ts';
import { sqliteStore } from '../../src/state/sqliteStore.ts';
import { action } from '../contract/stateStore.actions.ts';
import type { SenderTask, Stage } from './actions/sender.ts';

const mails = 120;
const hooks = 40;
const idOf = (n: number) => action(n).order.id;
const mailIds = Array.from({ length: mails }, (_, n) => idOf(n));
const hookIds = Array.from({ length: hooks }, (_, n) => idOf(mails + n));

/** Orders are taken by the first process that lives long enough, and hooks are quick; then each stage of a mail, three times. */
const kills: readonly Stage[] = [
  ...Array.from({ length: 3 }, () => 'accepted' as const),
  ...Array.from({ length: 3 }, () => 'hooked' as const),
  ...Array.from(
    { length: 3 },
    () => ['beforeAttempting', 'attempting', 'dot', 'replied', 'done', 'told'] as const,
  ).flat(),
];

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.close());

describe('a process that sends messages, killed (kill -9) and started again', () => {
  it('never sends one mail twice by itself, and loses none: what is not known to have arrived can be driven again', async () => {
    await world.send({ prepare: 'order' });
    for (const [turn, at] of kills.entries()) {
      const kill = { at, times: 1 + (turn % 4) };
      expect(await world.send({ kill }), `kill ${turn}, at ${kill.at}`).toBe('SIGKILL');
    }
    expect(await world.send({})).toBe(0);

    const received = world.mailsReceived();
    const dead = await world.deadLetters();
    expect(repeated(received)).toEqual([]);
    expect(new Set(dead.map(({ reason }) => reason))).toEqual(new Set(['OUTCOME_UNKNOWN']));
    const deadIds = dead.map(({ id }) => id);
    expect(mailIds.filter((id) => !received.includes(id) && !deadIds.includes(id))).toEqual([]);
    // Kills fell on both sides of the final dot.
    expect(deadIds.filter((id) => received.includes(id)).length).toBeGreaterThan(0);
    expect(deadIds.filter((id) => !received.includes(id)).length).toBeGreaterThan(0);
    // Not more are unknown than were under way.
    expect(deadIds.length).toBeLessThanOrEqual(kills.length * 3);

    const asked = world.hooksReceived();
    expect(new Set(asked)).toEqual(new Set(hookIds));
    expect(repeated(asked).length).toBeGreaterThanOrEqual(3);

    await world.send({ prepare: 'redrive' });
    expect(await world.send({})).toBe(0);
    expect(await world.deadLetters()).toEqual([]);
    const after = world.mailsReceived();
    expect(new Set(after)).toEqual(new Set(mailIds));
    // Only what may have arrived, and was driven again by hand, has arrived twice.
    expect(repeated(after).toSorted()).toEqual(deadIds.filter((id) => received.includes(id)).toSorted());
    console.log(
      `${dead.length} of ${mails} mails of unknown outcome in ${kills.length} kills; ${asked.length - hooks} of ${hooks} hooks came again`,
    );
  });

  it('would be found sending a mail twice, if it did not commit that the mail leaves', async () => {
    await world.send({ prepare: 'order' });
    for (let turn = 0; turn < 3; turn++) {
      const kill = { at: 'replied' as const, times: 1 + turn };
      expect(await world.send({ kill, plant: 'leavesUncommitted' })).toBe('SIGKILL');
    }
    await world.send({ plant: 'leavesUncommitted' });
    expect(repeated(world.mailsReceived()).length).toBeGreaterThan(0);
  });
});

function repeated(ids: readonly string[]): readonly string[] {
  return ids.filter((id, i) => ids.indexOf(id) !== i);
}

interface World {
  /** Runs a process until it has nothing to do; how it ended. */
  send(task: Partial<SenderTask>): Promise<number | string>;
  mailsReceived(): readonly string[];
  hooksReceived(): readonly string[];
  deadLetters(): Promise<readonly { readonly id: string; readonly reason: string | null }[]>;
  close(): Promise<void>;
}

async function openWorld(): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'usher-actions-'));
  const received = join(folder, 'received');
  writeFileSync(received, '');
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url!.slice(1));
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const hookUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const mailbox = start('mailbox.ts', received);
  const [line] = (await once(mailbox.stdout!, 'data')) as [Buffer];
  const mailPort = Number(/port (\d+)/.exec(String(line))![1]);
  const state = join(folder, 'state');
  return {
    async send(task) {
      const whole: SenderTask = { folder: state, mailPort, hookUrl, mails, hooks, ...task };
      const [code, signal] = (await once(start('sender.ts', JSON.stringify(whole)), 'exit')) as [number, string];
      return signal ?? code;
    },
    mailsReceived: () => readFileSync(received, 'utf8').trim().split('\n'),
    hooksReceived: () => asked,
    async deadLetters() {
      const retention = { ageMs: 1e12, bytes: 1e12 };
      const file = await openSqlite({ folder: state, shards: 4, appendDeadlineMs: 5_000, retention });
      const { actions } = sqliteStore(file, localBroadcast());
      const pages = await Promise.all(
        [0, 1, 2, 3].map((shard) => actions.readDead({ shard, destination: null, before: null, limit: 1_000 })),
      );
      await file.close();
      return pages.flat().map(({ order, reason }) => ({ id: order.id, reason }));
    },
    async close() {
      const gone = once(mailbox, 'exit');
      mailbox.kill('SIGKILL');
      await gone;
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function start(script: string, argument: string): ChildProcess {
  const path = join(import.meta.dirname, 'actions', script);
  return spawn(process.execPath, [path, argument], { stdio: ['ignore', 'pipe', 'inherit'] });
}
