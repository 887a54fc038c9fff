import { describe, expect, it } from 'vitest';
import type { Scope } from '../../src/playbook/playbook.ts';
import { compileFiles, playbookOf, problemsOf } from '../support/playbooks.ts';

const scope = (roots: object) => roots as unknown as Scope;

describe('segments', () => {
  it('stand after those that they read, whatever the order they are written in', () => {
    const { segments } = playbookOf(`segments:
  a: { if: 'segments.c || segments["d"]' }
  b: { if: visitor.orders > 1 }
  c: { name: See, if: segments.b && !segments.d }
  d: { if: cart.value > 5 }
`);
    expect([...segments.keys()]).toEqual(['b', 'd', 'c', 'a']);
    expect(segments.get('c')).toMatchObject({ id: 'c', name: 'See', changes: [] });
    expect(segments.get('a')!.name).toBe('a');
    expect(segments.get('c')!.condition.evaluate(scope({ segments: { b: true, d: false } }))).toBe(true);
    expect(segments.get('c')!.condition.evaluate(scope({ segments: { b: true, d: true } }))).toBe(false);
  });

  it('are there for conditions of rules, for while and for texts of contents', () => {
    const playbook = playbookOf(`segments: { vip: { if: visitor.orders > 5 } }
content: { plain: { type: offer }, hi: { type: offer, title: "\${segments.vip}" } }
slots: { side: { fallback: plain } }
rules: { r: { when: page_viewed, if: segments.vip, then: [{ show: { slot: side, content: hi, while: segments.vip } }] } }
`);
    expect(playbook.rules.get('r')!.if!.evaluate(scope({ segments: { vip: true } }))).toBe(true);
    expect(playbook.rules.get('r')!.entries).toMatchObject([{ captures: ['segments.vip'] }]);
  });

  it.each([
    ['{ a: { if: segments.b }, x: ▸5, b: { if: true } }', 'expected a segment, got 5'],
    ['{ a: ▸{ name: A } }', 'if is missing'],
    ['{ a: { if: segments.▸bb }, b: { if: true } }', 'segments has no bb'],
    [
      '{ a: { if: ▸event.productId == "x" } }',
      'event is not known here: a segment is about the visitor, and is tried without an event too',
    ],
    [
      '{ a: { if: ▸device.kind == "mobile" } }',
      'device is not known here: a segment is about the visitor, and is tried without an event too',
    ],
    ['{ a: { if: ▸visitor.orders } }', 'a condition must be true or false; this is a number'],
    ['{ a: { if: ▸segments.a } }', 'the segments read each other in a circle: a -> a'],
    [
      '{ a: { if: ▸segments.b && visitor.orders > 1 }, b: { if: segments.c }, c: { if: "!segments.a" } }',
      'the segments read each other in a circle: a -> b -> c -> a',
    ],
    [
      '{ x: { if: segments.a }, a: { if: ▸\'segments["b"]\' }, b: { if: segments.a } }',
      'the segments read each other in a circle: a -> b -> a',
    ],
    [
      '{ a: { if: size(▸segments) > 1 } }',
      'Usher cannot tell when this changes by time: it names all of segments, not one of them',
    ],
  ])('that are mistaken: %s', (segments, message) => {
    const { found, places } = problemsOf(`segments: ${segments}`);
    expect(found).toEqual([`${places[0]} ${message}`]);
  });

  it('are two circles if there are two', () => {
    const { problems } = compileFiles({
      'a.yaml':
        'segments: { a: { if: segments.b }, b: { if: segments.a }, c: { if: segments.d }, d: { if: segments.c } }',
    });
    expect(problems.map(({ message }) => message)).toEqual([
      'the segments read each other in a circle: a -> b -> a',
      'the segments read each other in a circle: c -> d -> c',
    ]);
  });

  it('are declared once, in whatever file', () => {
    const { problems } = compileFiles({
      'a.yaml': 'segments: { x: { if: true } }',
      'b.yaml': 'segments: { x: { if: true } }',
    });
    expect(problems).toMatchObject([
      { file: 'b.yaml', line: 1, column: 13, message: 'x is declared twice in segments; the other place is a.yaml:1' },
    ]);
  });
});
