/** A mistake found by the checker, with the part of the source it is about. */
export interface CelProblem {
  readonly message: string;
  /** UTF-16 offsets into the source. */
  readonly start: number;
  readonly end: number;
  readonly expected?: string;
  readonly got?: string;
  readonly nearest?: string;
}

/**
 * An expression that cannot be evaluated with this scope: a fact that is absent, or a value of another type than declared.
 * A condition that ends so does not hold.
 */
export class CelError extends Error {
  override readonly name = 'CelError';
}

/**
 * One error per place in the source, made when first needed and thrown again after that: absent facts are an ordinary answer on
 * the hot path, and making an Error costs more than the whole expression.
 */
export function errorAt(message: () => string): () => CelError {
  let made: CelError | null = null;
  return () => {
    made ??= new CelError(message());
    return made;
  };
}
