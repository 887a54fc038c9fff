#!/usr/bin/env node
// Runs the command line on the Node.js that the project pins, whatever version started this file.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);
const packageRoot = dirname(require.resolve('node/package.json'));
const main = join(import.meta.dirname ?? dirname(new URL(import.meta.url).pathname), '..', 'src', 'main.ts');
const child = spawn(join(packageRoot, 'bin', 'node'), [main, ...process.argv.slice(2)], { stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
