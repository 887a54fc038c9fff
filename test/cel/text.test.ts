import { describe, expect, it } from 'vitest';
import { compileText } from '../../src/cel/text.ts';
import { declared, scope } from './declared.ts';

function render(source: string, of: object = scope): string {
  const result = compileText(source, declared, 2);
  if (!result.ok) throw new Error(result.problems.map(({ message }) => message).join('; '));
  return result.text.render(of);
}

describe('a text', () => {
  it('is filled in', () => {
    expect(render('Protect your ${product.name} for ${event.seconds} s')).toBe('Protect your Tent for 12 s');
  });
  it('shows money with the digits of the currency, also after arithmetic', () => {
    expect(render('${cart.value}, ${cart.value * 2}, ${200 - cart.value}, ${cart.value / 100}')).toBe(
      '120.50, 241.00, 79.50, 1.21',
    );
    expect(render('${event.seconds * 2}')).toBe('24');
  });
  it('shows an instant as CEL writes it, and none that is beyond the calendar', () => {
    expect(render('${now} ${now + duration("250ms")}')).toBe('2026-11-23T12:00:00Z 2026-11-23T12:00:00.25Z');
    expect(render('[${now}]', { now: 9e15 })).toBe('[]');
  });
  it('leaves a hole empty whose fact is missing', () => {
    expect(render('[${event.results}] [${product.name}]', { event: {}, product: null })).toBe('[] []');
    expect(render('${1.0 / 0.0}')).toBe('');
  });
  it('keeps braces of maps and quotes inside a hole, and $${ as it stands', () => {
    expect(render('${{"a}": "b"}["a}"]} $${x} ${"}" + "${"}')).toBe('b ${x} }${');
  });
  it('gives the place of a mistake within the whole text', () => {
    const result = compileText('Hi ${product.nmae}', declared, 2);
    expect(!result.ok && result.problems[0]).toMatchObject({ message: 'product has no nmae', start: 13, end: 17 });
  });
  it('must close its holes and show single values', () => {
    const open = compileText('Hi ${product.name', declared, 2);
    expect(!open.ok && open.problems[0]).toMatchObject({ start: 3, expected: '"}"' });
    const list = compileText('${event.tags}', declared, 2);
    expect(!list.ok && list.problems[0]?.message).toBe(
      'a text can show a text, number, time or true/false, not a list of text',
    );
  });
});
