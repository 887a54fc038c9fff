import { spawn } from 'node:child_process';

/** Ends what `startServer` left in this folder, and removes the folder, when this process is gone, however it ended: kill -9 too. */
export function endWithRun(folder: string): void {
  const watch =
    'while kill -0 "$1" 2>/dev/null; do sleep 1; done; [ -f "$2/pid" ] && kill -9 "$(cat "$2/pid")"; rm -rf "$2"';
  spawn('sh', ['-c', watch, 'sh', String(process.pid), folder], { detached: true, stdio: 'ignore' }).unref();
}
