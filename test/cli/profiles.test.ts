import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.ts';
import { recordedIo } from '../support/cliIo.ts';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';

const folder = mkdtempSync(join(tmpdir(), 'usher-profiles-'));
let usher: TestUsher;
beforeAll(async () => {
  usher = await startTestUsher({ playbook: join(import.meta.dirname, '../gateway/identityPlaybook') });
});
afterAll(async () => {
  await usher[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** Users of one test are none of another's. */
let run = 0;
beforeEach(() => void run++);
const user = (name: string) => `${name}-${run}`;

async function importFile(name: string, content: string | Buffer, ...options: string[]) {
  writeFileSync(join(folder, name), content);
  const io = recordedIo({ cwd: folder });
  const words = ['profiles', 'import', name, '--url', usher.url, '--data', usher.config.data, ...options];
  const code = await runCli(words, io);
  await usher.caughtUp();
  return { code, out: io.outLines.join('\n'), err: io.errLines };
}
async function profileOf(userId: string) {
  const { data } = await usher.query(
    'query($userId: ID!) { visitor(ref: { userId: $userId }) { visitor traits counts { folded duplicate } } }',
    { userId },
    usher.devKey!,
  );
  return data.visitor;
}

describe('usher profiles import', () => {
  it('takes CSV: attributes as the playbook types them, an empty field as not told', async () => {
    const csv = [
      '\ufeffuserId,email,name,locale,timeZone,attributes.tier,attributes.points,attributes.newsletter,shoeSize',
      `${user('anna')},anna@shop.example,"Anna ""A."" Berg",de-AT,Europe/Vienna,gold,120,true,43`,
      `${user('ben')},,Ben,,,,,,`,
    ].join('\r\n');
    const { code, out, err } = await importFile('customers.csv', csv);
    expect([code, err]).toEqual([0, []]);
    expect(out).toMatch(/^profiles: 2 accepted, 0 refused; [\d.]+ s\ncolumns passed over: shoeSize$/);
    expect(await profileOf(user('anna'))).toMatchObject({
      visitor: { email: 'anna@shop.example', name: 'Anna "A." Berg', locale: 'de-AT', timeZone: 'Europe/Vienna' },
      traits: { tier: 'gold', points: 120 },
    });
    expect((await profileOf(user('ben'))).visitor).toMatchObject({ email: '', name: 'Ben' });
  });

  it('takes JSON lines, of anonymous visitors too, packed or not; null removes', async () => {
    const lines = (profiles: object[]) => profiles.map((profile) => JSON.stringify(profile)).join('\n');
    const first = [
      { userId: user('carl'), email: 'carl@shop.example', name: 'Carl', attributes: { points: 7 } },
      { visitorId: `dev:${user('dora')}`, name: 'Dora' },
    ];
    expect((await importFile('profiles.jsonl', lines(first))).code).toBe(0);
    expect((await importFile('profiles.jsonl.gz', gzipSync(lines([{ userId: user('carl'), email: null }])))).code).toBe(
      0,
    );
    expect(await profileOf(user('carl'))).toMatchObject({
      visitor: { email: '', name: 'Carl' },
      traits: { points: 7 },
    });
    const { data } = await usher.query('{ visitor { visitor } }', {}, `dev:${user('dora')}`);
    expect(data.visitor.visitor.name).toBe('Dora');
  });

  it('lists bad rows of CSV with line and reason, and takes the others', async () => {
    const csv = [
      'userId,visitorId,email,name,attributes.points',
      `${user('good')},,good@shop.example,,1`,
      `${user('mail')},,not an address,,`,
      ',,nobody@shop.example,,',
      `${user('both')},v_1,,,`,
      `${user('short')},,x`,
      `${user('points')},,,,many`,
      `${user('last')},,,Last,`,
    ].join('\n');
    const { code, out, err } = await importFile('bad.csv', csv);
    expect(code).toBe(1);
    expect(out).toMatch(/^profiles: 2 accepted, 5 refused;/);
    expect(err.toSorted()).toEqual([
      expect.stringMatching(/^line 3: EVENT_INVALID: email: .*mail-address/),
      'line 4: expected userId or visitorId',
      'line 5: expected userId or visitorId, not both',
      expect.stringMatching(/^line 6: /),
      expect.stringMatching(/^line 7: EVENT_INVALID: attributes\.points: must be integer/),
    ]);
    expect((await profileOf(user('good'))).visitor.email).toBe('good@shop.example');
    expect((await profileOf(user('last'))).visitor.name).toBe('Last');
    expect(await profileOf(user('mail'))).toBeNull();
  });

  it('lists bad rows of JSON lines with line and reason, and takes the others', async () => {
    const lines = [
      '{"userId": "',
      '',
      '[1]',
      `{"userId": "${user('a')}", "nam": "x"}`,
      `{"userId": "${user('b')}", "attributes": {"shoeSize": 43}}`,
      `{"userId": 7, "name": "x"}`,
      `{"userId": "${user('c')}", "name": "${'x'.repeat(100_001)}"}`,
      `{"userId": "${user('d')}", "name": "D"}`,
    ].join('\n');
    const { code, out, err } = await importFile('bad.jsonl', lines);
    expect(code).toBe(1);
    expect(out).toMatch(/^profiles: 1 accepted, 6 refused;/);
    expect(err.toSorted()).toEqual([
      expect.stringMatching(/^line 1: not JSON/),
      'line 3: expected an object',
      'line 4: nam is not a member of a profile; did you mean name?',
      expect.stringMatching(/^line 5: EVENT_INVALID: attributes\.shoeSize: is not a property/),
      'line 6: expected userId or visitorId',
      'line 7: more than 100000 characters',
    ]);
    expect((await profileOf(user('d'))).visitor.name).toBe('D');
  });

  it('changes nothing when the same file comes again, though the profile has moved on', async () => {
    const csv = `userId,name\n${user('moved')},Old\n`;
    await importFile('again.csv', csv);
    await importFile('newer.csv', `userId,name\n${user('moved')},New\n`);
    expect((await importFile('again.csv', csv)).out).toMatch(/^profiles: 1 accepted/);
    expect(await profileOf(user('moved'))).toMatchObject({
      visitor: { name: 'New' },
      counts: { folded: 2, duplicate: 1 },
    });
  });

  it('sends more than one call holds, in the order of the file', async () => {
    const rows = Array.from({ length: 1_234 }, (_, n) => `${user('many')}-${n % 10},Name ${n}`);
    const { code, out } = await importFile('many.csv', `userId,name\n${rows.join('\n')}`);
    expect(code).toBe(0);
    expect(out).toMatch(/^profiles: 1,234 accepted/);
    expect(await profileOf(`${user('many')}-3`)).toMatchObject({
      visitor: { name: 'Name 1233' },
      counts: { folded: 124 },
    });
  });

  it('says what is wrong with the file as a whole', async () => {
    const outcome = async (...given: Parameters<typeof importFile>) => (await importFile(...given)).err.join('\n');
    expect(await outcome('header.csv', 'user,name\nx,y\n')).toMatch(/COMMAND_FAILED: the first line has no userId/);
    expect(await outcome('x.csv', '', '--format', 'xml')).toMatch(/expected csv or jsonl/);
    const io = recordedIo({ cwd: folder });
    expect(
      await runCli(['profiles', 'import', 'nowhere.csv', '--url', usher.url, '--data', usher.config.data], io),
    ).toBe(1);
    expect(io.errLines.join('\n')).toMatch(/nowhere\.csv cannot be read/);
  });

  it('needs a key that may write', async () => {
    await using other = await startTestUsher({ secretKeys: ['usk_reader_0123456789=read'] });
    writeFileSync(join(folder, 'key.csv'), 'userId,name\nx,y\n');
    const io = recordedIo({ cwd: folder });
    expect(
      await runCli(['profiles', 'import', 'key.csv', '--url', other.url, '--key', 'usk_reader_0123456789'], io),
    ).toBe(1);
    expect(io.errLines.join('\n')).toMatch(/line 2: FORBIDDEN/);
  });
});
