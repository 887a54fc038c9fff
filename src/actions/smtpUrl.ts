/** A server that takes mail, as `smtp://user:password@mail.example:587` says it. */
export interface SmtpServer {
  readonly host: string;
  readonly port: number;
  /** `always`: from the first byte (smtps). `required`: by STARTTLS, or no mail. `offered`: by STARTTLS if the server has it. */
  readonly tls: 'always' | 'required' | 'offered';
  readonly login: { readonly user: string; readonly password: string } | null;
}

const expected =
  'expected smtp://user:password@host:587 or smtps://user:password@host:465, with ?tls=offered if mail may go unencrypted';

/** @throws Error that does not show the text, which has a password */
export function smtpServer(text: string): SmtpServer {
  const url = URL.parse(text);
  const isTls = url?.protocol === 'smtps:';
  if (url === null || !(isTls || url.protocol === 'smtp:') || url.hostname === '' || !/^\/?$/.test(url.pathname)) {
    throw new Error(expected);
  }
  const tls = url.searchParams.get('tls') ?? 'required';
  const others = [...url.searchParams.keys()].filter((name) => name !== 'tls');
  if ((tls !== 'required' && tls !== 'offered') || others.length > 0) throw new Error(expected);
  if ((url.username === '') !== (url.password === ''))
    throw new Error(`${expected}; a user and a password, or neither`);
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (isTls ? 465 : 587) : Number(url.port),
    tls: isTls ? 'always' : tls,
    login: url.username === '' ? null : { user: decoded(url.username), password: decoded(url.password) },
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error(`${expected}; a % of user or password is written %25`);
  }
}
