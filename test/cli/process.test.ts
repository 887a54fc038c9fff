import { type ChildProcess, spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';

/** The program itself: what it prints, how it ends. What happens inside is tested elsewhere. */
const root = join(import.meta.dirname, '..', '..');
const folders: string[] = [];
const children: ChildProcess[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'usher-process-'));
  folders.push(made);
  return made;
}

interface Started {
  readonly child: ChildProcess;
  readonly url: Promise<string>;
  /** Exit code and all that was printed. */
  readonly ended: Promise<{ readonly code: number | null; readonly output: string }>;
}

function start(...args: string[]): Started {
  return startWith([], ...args);
}

function startWith(nodeArgs: readonly string[], ...args: string[]): Started {
  const child = spawn(
    process.execPath,
    [...nodeArgs, join(root, 'src/main.ts'), 'start', '--watch', 'false', ...args],
    { cwd: root },
  );
  children.push(child);
  let output = '';
  const url = new Promise<string>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (part: string) => {
        output += part;
        const found = /(http:\/\/127\.0\.0\.1:\d+)\/graphql/.exec(output);
        if (found !== null) resolve(found[1]!);
      });
    }
  });
  const ended = new Promise<{ code: number | null; output: string }>((resolve) =>
    child.once('close', (code) => resolve({ code, output })),
  );
  return { child, url, ended };
}

describe('usher start', () => {
  it('says which port is in use and how to take another', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };
    const { code, output } = await start('--port', String(port), '--data', await folder()).ended;
    other.close();
    expect(code).toBe(1);
    expect(output).toMatch(new RegExp(`PORT_IN_USE: .*${port}`));
    expect(output).toContain('--port');
  });

  it('does not share a data folder with a running one, and says which process has it', async () => {
    const data = await folder();
    const first = start('--port', '0', '--data', data);
    await first.url;
    const { code, output } = await start('--port', '0', '--data', data).ended;
    expect(code).toBe(1);
    expect(output).toContain('DATA_IN_USE');
    expect(output).toContain(String(first.child.pid));
  });

  it('refuses a damaged database file without touching it', async () => {
    const data = await folder();
    const damaged = Buffer.alloc(8192, 'not a database ');
    await writeFile(join(data, 'usher.db'), damaged);
    const { code, output } = await start('--port', '0', '--data', data).ended;
    expect(code).toBe(1);
    expect(output).toContain('DATA_DAMAGED');
    expect(await readFile(join(data, 'usher.db'))).toEqual(damaged);
  });

  it('lists the mistakes of a broken playbook with their places, and does not start', async () => {
    const playbook = join(await folder(), 'playbook');
    await cp(join(root, 'playbooks/demo-store'), playbook, { recursive: true });
    const rules = await readFile(join(playbook, 'rules/product.yaml'), 'utf8');
    await writeFile(join(playbook, 'rules/product.yaml'), rules.replace('slot: product_upsell', 'slot: product_upsel'));
    const { code, output } = await start('--port', '0', '--data', await folder(), '--playbook', playbook).ended;
    expect(code).toBe(1);
    expect(output).toMatch(/PLAYBOOK_INVALID[\s\S]*rules\/product\.yaml:\d+:\d+: .*product_upsel/);
  });

  it('refuses a setting out of its range and an unknown flag, naming what was meant', async () => {
    const range = await start('--port', '70000').ended;
    expect(range.code).toBe(1);
    expect(range.output).toMatch(/CONFIG_INVALID: port \(flag --port\) is "70000"/);
    const typo = await start('--prot', '4000').ended;
    expect(typo.code).toBe(2);
    expect(typo.output).toContain('did you mean --port?');
  });

  it('in production wants a secret, and has neither dev tokens nor pages', async () => {
    const data = await folder();
    const production = ['--port', '0', '--data', data, '--mode', 'production', '--public-url', 'https://shop.example'];
    const without = await start(...production).ended;
    expect(without.output).toMatch(/CONFIG_INVALID: secret/);
    const secret = 'x'.repeat(32);
    const running = start(...production, '--secret', secret);
    const url = await running.url;
    const answer = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer dev:alice' },
      body: JSON.stringify({ query: '{ personalizedSlots { name } }' }),
    });
    expect(JSON.stringify(await answer.json())).toContain('TOKEN_INVALID');
    expect((await fetch(`${url}/`)).status).toBe(404);
  });
});

describe('npm run dev', () => {
  it('starts under the watcher of Node', async () => {
    const running = startWith(['--watch-path=src'], '--port', '0', '--data', await folder());
    expect((await fetch(`${await running.url}/health`)).status).toBe(200);
    // Killed, the watcher would leave its child behind; asked to stop, it takes the child along.
    running.child.kill('SIGTERM');
    await running.ended;
  });
});

describe('a stop', () => {
  it('finishes what was accepted, closes sockets so that clients come back, and exits 0', async () => {
    const data = await folder();
    const running = start('--port', '0', '--data', data);
    const url = await running.url;
    const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    const closed = new Promise<number>((resolve) => socket.once('close', resolve));
    await new Promise((resolve) => socket.once('open', resolve));
    socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: 'Bearer dev:alice' } }));
    await new Promise((resolve) => socket.once('message', resolve));
    const outcomes = Array.from({ length: 50 }, () => track(url));
    // Some are answered, some are on their way: both must end well.
    await outcomes[0];
    running.child.kill('SIGTERM');
    const accepted = (await Promise.all(outcomes)).filter((status) => status === 'ACCEPTED').length;
    expect(accepted).toBeGreaterThan(0);
    expect(await closed).toBe(1012);
    expect((await running.ended).code).toBe(0);

    const again = await start('--port', '0', '--data', data).url;
    const { data: answer } = await ask(again, '{ visitor { counts { folded } } }');
    expect(answer.visitor.counts.folded).toBe(accepted);
  });

  it('asked for twice, ends at once with 1', async () => {
    const running = start('--port', '0', '--data', await folder());
    const url = await running.url;
    // A subscriber that never reads its end keeps the first stop busy for a moment.
    const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    await new Promise((resolve) => socket.once('open', resolve));
    running.child.kill('SIGTERM');
    running.child.kill('SIGINT');
    const { code } = await running.ended;
    expect(code).toBe(1);
    socket.terminate();
  });
});

async function ask(url: string, query: string) {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer dev:alice' },
    body: JSON.stringify({ query }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: the test knows what it asked for
  return (await response.json()) as { data: any };
}

/** ACCEPTED, or why not: a server that is stopping may refuse, or be gone. */
async function track(url: string): Promise<string> {
  try {
    const { data } = await ask(
      url,
      'mutation { trackEvent(input: { type: "page_viewed" }) { outcome { status error { code } } } }',
    );
    return data?.trackEvent.outcome.status ?? 'refused';
  } catch {
    return 'unreachable';
  }
}
