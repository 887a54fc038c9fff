import { spawn } from 'node:child_process';
import { join } from 'node:path';

const script = join(import.meta.dirname, '..', 'oracle', 'rees46.py');

/** Runs the oracle, which shares no code with Usher, against a running one. Answers its count of mismatches and all it printed. */
export async function askOracle(
  file: string,
  usher: { readonly url: string; readonly key: string },
  ...more: readonly string[]
): Promise<{ mismatches: number; visitors: number; output: string }> {
  const args = [script, file, '--url', usher.url, '--key', usher.key, ...more];
  const child = spawn('python3', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => {
      output += part;
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const mismatches = /^mismatches (\d+)$/m.exec(output)?.[1];
  const visitors = /^visitors (\d+)$/m.exec(output)?.[1];
  if (mismatches === undefined || visitors === undefined) throw new Error(`the oracle ended with ${code}:\n${output}`);
  return { mismatches: Number(mismatches), visitors: Number(visitors), output };
}
