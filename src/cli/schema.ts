import { playbookSchema } from '../playbook/format.ts';
import type { Command } from './command.ts';

export const schema: Command = {
  name: 'schema',
  summary: 'Print the JSON Schema of a playbook file, for editors',
  positionals: [],
  options: {},
  epilogue:
    'For VS Code with the YAML extension:\n  usher schema > usher-playbook.schema.json\n  "yaml.schemas": { "./usher-playbook.schema.json": "playbooks/**/*.yaml" }',
  async run(_args, io) {
    io.out(JSON.stringify(playbookSchema(), null, 2));
    return 0;
  },
};
