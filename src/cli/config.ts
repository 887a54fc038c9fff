import { type SettingName, settings } from '../config.ts';
import type { Command } from './command.ts';
import { configFrom, settingOptions } from './start.ts';

/** Rows of a map one after another, as they would stand in the file. */
function shownValue(value: unknown): string {
  const isRows = Array.isArray(value) && typeof value[0] === 'object';
  return isRows ? value.map((row) => JSON.stringify(row)).join(' ') : String(value);
}

export const config: Command = {
  name: 'config',
  summary: 'Print every setting, its value and where the value comes from',
  positionals: [],
  options: settingOptions,
  async run(args, io) {
    const loaded = configFrom(args, io);
    for (const name of Object.keys(settings) as SettingName[]) {
      const { secret, unit } = settings[name] as { secret?: true; unit?: string };
      const value = loaded.config[name];
      const empty = value === undefined || (Array.isArray(value) && value.length === 0);
      const shown = empty ? '(none)' : secret ? '(set, not shown)' : `${shownValue(value)}${unit ? ` ${unit}` : ''}`;
      io.out(`${name.padEnd(22)} ${shown.padEnd(28)} ${loaded.origins[name]}`);
    }
    return 0;
  },
};
