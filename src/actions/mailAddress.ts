import { domainToASCII } from 'node:url';
import { isMailAddress } from '../model/mailAddress.ts';

/** Who a mail is from. */
export interface Mailbox {
  readonly name: string;
  readonly address: string;
  readonly domain: string;
}

/**
 * `Shop <shop@example.com>`, `"Shop, Ltd." <…>`, or the address alone.
 * @throws Error saying what was expected
 */
export function mailbox(text: string): Mailbox {
  const [, quoted, plain, within] = /^(?:"([^"\\]*)"|([^<>]*?))\s*<([^<>]*)>$/.exec(text.trim()) ?? [];
  const name = (quoted ?? plain ?? '').trim();
  const found = (within ?? text).trim();
  if (!isMailAddress(found) || /\p{C}/u.test(name)) {
    throw new Error(`expected a sender like Shop <shop@example.com>, came ${JSON.stringify(text)}`);
  }
  return { name, address: found, domain: found.slice(found.lastIndexOf('@') + 1) };
}

/** As an envelope has it: `zoe@bücher.example` goes to `zoe@xn--bcher-kva.example`. */
export function asciiDomain(address: string): string {
  const at = address.lastIndexOf('@');
  // What is no name of a host (a literal, an underscore) is left as it is: the server says what it thinks of it.
  const domain = domainToASCII(address.slice(at + 1)) || address.slice(at + 1);
  return `${address.slice(0, at)}@${domain}`;
}
