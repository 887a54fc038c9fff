import { resolve } from 'node:path';
import { UsherError } from '../errors.ts';
import { readPlaybook } from '../playbook/read.ts';
import { messageSaid, segmentSaid, traitSaid } from '../playbook/sentence.ts';
import { playbookFolder, playbookPositional } from './check.ts';
import type { Command } from './command.ts';
import { styleOf } from './style.ts';

export const describe: Command = {
  name: 'describe',
  summary: 'Read a playbook aloud: each rule, action, segment and trait as a sentence',
  positionals: [playbookPositional],
  options: {
    slot: { type: 'string', value: 'SLOT', help: 'Only rules that show something in this slot' },
    event: { type: 'string', value: 'TYPE', help: 'Only rules that this event type can fire' },
  },
  async run(args, io) {
    const folder = playbookFolder(args, io);
    const { playbook } = await readPlaybook(resolve(io.cwd, folder));
    if (playbook === null) {
      throw new UsherError('PLAYBOOK_INVALID', `the playbook ${folder} has mistakes; usher check ${folder} lists them`);
    }
    const { slot, event } = args.options;
    const style = styleOf(io);
    const rules = [...playbook.rules.values()].filter(
      (rule) =>
        (slot === undefined || rule.entries.some((entry) => entry.do === 'show' && entry.slot === slot)) &&
        (event === undefined || rule.when.includes(String(event))),
    );
    const say = (id: string, name: string, sentence: string): void => {
      io.out(name === '' ? style.bold(id) : `${style.bold(id)}  ${style.dim(name)}`);
      io.out(`${wrap(sentence, 2, 100)}\n`);
    };
    for (const { id, name, sentence } of rules) say(id, name, sentence);
    if (rules.length === 0) io.out('No such rule.');
    // Those who ask for the rules of a slot or an event get nothing else.
    if (slot !== undefined || event !== undefined) return 0;
    for (const action of playbook.actions.values()) say(`actions.${action.id}`, action.name, messageSaid(action));
    for (const segment of playbook.segments.values()) say(`segments.${segment.id}`, segment.name, segmentSaid(segment));
    for (const trait of playbook.traits.values())
      if (trait.path[0] === 'traits') say(`traits.${trait.name}`, '', traitSaid(trait, playbook.events));
    return 0;
  },
};

/** Breaks a sentence at blanks. */
function wrap(sentence: string, indent: number, width: number): string {
  const lines: string[] = [];
  let line = '';
  for (const word of sentence.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width - indent) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines.map((each) => ' '.repeat(indent) + each).join('\n');
}
