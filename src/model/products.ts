/** What the state keeps of an imported product: its id and a text that means nothing to a store. */
export interface ProductText {
  readonly id: string;
  readonly text: string;
}

export type ProductChange = 'CREATED' | 'CHANGED' | 'UNCHANGED';

export interface ChangedProduct extends ProductText {
  /** Of its last change; larger than those of all changes before. */
  readonly revision: number;
}

export interface ProductStatus {
  readonly products: number;
  /** Of the newest change; 0: there is none. */
  readonly revision: number;
  /** null: nothing was ever published. */
  readonly published: string | null;
}
