import type { PropertyProblem } from '../playbook/playbook.ts';
import { limits } from './limits.ts';

/**
 * What JSON Schema does not see and a log must not keep: numbers that JSON cannot carry exactly, texts that UTF-8 cannot carry, keys that
 * change how objects behave, and nesting that would exhaust a recursive reader. null: none of it.
 *
 * Runs on every event, so it allocates nothing until it finds something.
 */
export function checkJson(value: unknown, depth = 0): PropertyProblem | null {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed() ? null : problem('has a lone surrogate; expected well-formed Unicode');
    case 'number':
      if (!Number.isFinite(value)) return problem(`is ${value}; expected a finite number`);
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
        return problem(`is ${value}, beyond 2^53 - 1, where numbers lose digits; send it as a string`);
      }
      return null;
    case 'boolean':
      return null;
    case 'object': {
      if (value === null) return null;
      if (depth >= limits.propertiesDepth) return problem(`is nested deeper than ${limits.propertiesDepth} levels`);
      if (Array.isArray(value)) {
        for (let i = 0; i < value.length; i++) {
          const found = checkJson(value[i], depth + 1);
          if (found !== null) return under(String(i), found);
        }
        return null;
      }
      for (const key in value) {
        if (key === '__proto__') return { path: [key], message: 'is a key that is not taken' };
        if (!key.isWellFormed()) return { path: [key.toWellFormed()], message: 'is a key with a lone surrogate' };
        const found = checkJson((value as Record<string, unknown>)[key], depth + 1);
        if (found !== null) return under(key, found);
      }
      return null;
    }
    default:
      return problem(`is a ${typeof value}; expected JSON`);
  }
}

function problem(message: string): PropertyProblem {
  return { path: [], message };
}
function under(key: string, found: PropertyProblem): PropertyProblem {
  return { path: [key, ...found.path], message: found.message };
}
