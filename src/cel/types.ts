/**
 * What CEL values can be here. JSON has one kind of number, so there is one: the double. A timestamp is ms since the epoch, a
 * duration is ms; while running both are plain numbers, and only the checker keeps them apart.
 */
export type CelType =
  | { readonly kind: 'bool' | 'string' | 'null' | 'timestamp' | 'duration' | 'dyn' }
  | {
      readonly kind: 'number';
      /** Major units of the playbook's currency; a text shows it with the currency's digits. */
      readonly money: boolean;
    }
  | { readonly kind: 'list'; readonly of: CelType }
  | { readonly kind: 'map'; readonly of: CelType }
  | ObjectType;

/** Named fields, all known. */
export interface ObjectType {
  readonly kind: 'object';
  readonly fields: { readonly [name: string]: CelType };
  /** Why a name that one could expect is not there: `orderId: 'product_viewed has no orderId'`. */
  readonly missing?: { readonly [name: string]: string };
}

export const bool: CelType = { kind: 'bool' };
export const string: CelType = { kind: 'string' };
export const number: CelType = { kind: 'number', money: false };
export const money: CelType = { kind: 'number', money: true };
export const timestamp: CelType = { kind: 'timestamp' };
export const duration: CelType = { kind: 'duration' };
export const nullType: CelType = { kind: 'null' };
/** Anything: checked while running. */
export const dyn: CelType = { kind: 'dyn' };

export function listOf(of: CelType): CelType {
  return { kind: 'list', of };
}

/** As messages say it. */
export function nameOf(type: CelType): string {
  switch (type.kind) {
    case 'string':
      return 'text';
    case 'list':
      return type.of.kind === 'dyn' ? 'list' : `list of ${nameOf(type.of)}`;
    case 'object':
    case 'map':
      return 'map';
    case 'dyn':
      return 'any value';
    default:
      return type.kind;
  }
}

/** Whether values of the two can be equal; `null` and `dyn` go with everything. */
export function comparable(a: CelType, b: CelType): boolean {
  if (a.kind === 'dyn' || b.kind === 'dyn' || a.kind === 'null' || b.kind === 'null') return true;
  if (a.kind === 'list' && b.kind === 'list') return comparable(a.of, b.of);
  if (isMap(a) && isMap(b)) return true;
  return a.kind === b.kind;
}

/** The type that holds values of both; null: there is none. */
export function unify(a: CelType, b: CelType): CelType | null {
  if (a === b) return a;
  if (a.kind === 'dyn' || b.kind === 'dyn') return dyn;
  if (a.kind === 'null') return b;
  if (b.kind === 'null') return a;
  if (a.kind === 'number' && b.kind === 'number') return a.money && b.money ? money : number;
  if (a.kind === 'list' && b.kind === 'list') {
    const of = unify(a.of, b.of);
    return of === null ? null : listOf(of);
  }
  if (isMap(a) && isMap(b)) return { kind: 'map', of: dyn };
  return a.kind === b.kind ? a : null;
}

export function isMap(type: CelType): boolean {
  return type.kind === 'map' || type.kind === 'object';
}

/** Whether one value of this type fits into a text or a captured fact. */
export function isSingle(type: CelType): boolean {
  return type.kind !== 'list' && !isMap(type);
}
