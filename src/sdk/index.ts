export { defineUsherSlot, UsherSlotElement } from './element.ts';
export * from './types.ts';
export { createUsher, type Usher } from './usher.ts';
