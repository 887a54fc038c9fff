/** Amounts whose minor units are below this have one decimal of their length that reads back, so the quick way is exact. */
const exactBelow = 1e15;

/**
 * A decimal amount in major units → integer minor units (semantics 10.1): the shortest decimal that reads back as the number,
 * rounded half away from zero. 1.005 is 1.01 here, although its double lies below it; vectors in test/vectors/money.json.
 * @throws RangeError when the amount is not finite, or too large to count exactly
 */
export function toMinor(amount: number, minorDigits: number): number {
  const scale = 10 ** minorDigits;
  const guess = Math.round(amount * scale);
  if (Math.abs(guess) < exactBelow && guess / scale === amount) return guess === 0 ? 0 : guess;
  if (!Number.isFinite(amount)) throw new RangeError(`an amount must be a finite number; came ${amount}`);
  const [mantissa = '0', exponent = '0'] = String(Math.abs(amount)).split('e');
  const [whole = '0', fraction = ''] = mantissa.split('.');
  const digits = whole + fraction;
  const point = whole.length + Number(exponent) + minorDigits;
  const kept = point <= 0 ? 0 : Number(digits.slice(0, point).padEnd(point, '0'));
  const roundsUp = point >= 0 && digits.charAt(point) >= '5';
  const minor = roundsUp ? kept + 1 : kept;
  if (!Number.isSafeInteger(minor)) throw new RangeError(`an amount of ${amount} is too large to count in minor units`);
  return amount < 0 && minor !== 0 ? -minor : minor;
}

/** Integer minor units → the decimal number that conditions and people read. */
export function toMajor(minor: number, minorDigits: number): number {
  return minor / 10 ** minorDigits;
}
