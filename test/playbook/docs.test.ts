import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { playbookOf } from '../support/playbooks.ts';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/playbook.md'), 'utf8');
const demoStore = join(root, 'playbooks/demo-store');
const files = readdirSync(demoStore)
  .filter((file) => file.endsWith('.yaml'))
  .map((file) => readFileSync(join(demoStore, file), 'utf8'));

describe('docs/playbook.md', () => {
  const examples = [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, example]) => example!);

  it('has an example of each section', () => {
    expect(examples.length).toBeGreaterThanOrEqual(8);
  });

  it.each(examples)('takes its examples from the demo store: %#', (example) => {
    expect(
      files.some((text) => text.includes(example)),
      example,
    ).toBe(true);
  });

  it('names every fact that conditions can read of a visitor', () => {
    const rows = Object.fromEntries(
      [...page.matchAll(/^\| `(\w+)` \| (.*) \|$/gm)].map(([, name, holds]) => [name, holds]),
    );
    for (const { path } of playbookOf('').traits.values()) {
      const [root, name] = path;
      if (name !== undefined) expect(rows[root!], path.join('.')).toContain(`\`${name}\``);
    }
  });

  it('names every standard event', () => {
    for (const type of playbookOf('').events.keys()) expect(page).toContain(`\`${type}\``);
  });
});
