/** Where a mail can be sent: no name, no list, nothing that could end a header's line. As a pattern's source, for JSON Schema too. */
export const mailAddressSource = '[^\\s<>()\\[\\],;:@"\\\\]{1,64}@[^\\s<>()\\[\\],;:@"\\\\]{1,190}';
const pattern = new RegExp(`^${mailAddressSource}$`, 'u');

export function isMailAddress(value: unknown): value is string {
  return typeof value === 'string' && value.isWellFormed() && pattern.test(value) && !/\p{Cc}/u.test(value);
}
