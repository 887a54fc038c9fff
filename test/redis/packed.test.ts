import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pack, unpack } from '../../src/redis/packed.ts';

const profile =
  '[1,[20,0,0,0,0,0,0,0,1],{"~f":1,"~g":11,"~l":["p_012","p_009","p_005"],"~n":"sleeping"},[1,5700,0,{"~t":1}],[[4,1903,1800000]],[["0000000000000003",21]],""]';

describe('a visitor’s text in Redis', () => {
  it('comes back as it was', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => unpack(pack(text)) === text));
    expect(unpack(pack(profile))).toBe(profile);
  });

  it('takes less than half of what it takes as it is', () => {
    expect(pack(profile).length).toBeLessThan(Buffer.byteLength(profile) / 2);
  });

  it('is read also where it was stored as it is', () => {
    expect(unpack(Buffer.from(profile))).toBe(profile);
    expect(unpack(Buffer.alloc(0))).toBe('');
  });

  it('is read as form 1 was written when there was no later one', () => {
    const stored = 'ASM9yAyNIMFlYAmlTeEBV5yTmgrKzkpY/IrNVzDXIANjJbjbAA==';
    expect(unpack(Buffer.from(stored, 'base64'))).toBe(profile);
  });

  it('of a form from a later version is refused', () => {
    expect(() => unpack(Buffer.of(2, 1, 2, 3))).toThrow('form 2');
  });
});
