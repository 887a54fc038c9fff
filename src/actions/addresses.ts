import { BlockList, isIP } from 'node:net';

/**
 * IPv4 networks that are no one's on the public internet (IANA's registry of special-purpose addresses), and the one address in
 * public space at which a cloud tells its machines secrets. Other clouds do so at addresses of these networks.
 */
const specialV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '168.63.129.16/32',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];

/** Of IPv6 only global unicast is public, less what is special in it: Teredo and ORCHID, documentation, 6to4. */
const globalV6 = ['2000::/3'];
const specialV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'];
/** A translator makes IPv4 of the last 32 bits (RFC 6052), so the address is as public as those are. */
const nat64 = '64:ff9b::';

const special = networks([...specialV4, ...specialV6]);
const global = networks([...globalV6, `${nat64}/96`]);
for (const network of specialV4) {
  const [address, bits] = network.split('/') as [string, string];
  special.addSubnet(`${nat64}${address}`, 96 + Number(bits), 'ipv6');
}

/** Addresses and networks that an operator lists. */
export class AddressList {
  readonly #blocks: BlockList;

  /**
   * @param list addresses, or networks like `10.1.0.0/16`
   * @throws Error naming the entry that is neither
   */
  constructor(list: readonly string[]) {
    this.#blocks = networks(list);
  }

  has(address: string): boolean {
    const [plain, family] = plainAddress(address);
    return family !== null && this.#blocks.check(plain, family);
  }
}

/** Whether it is one that anyone on the internet may have. */
export function isPublic(address: string): boolean {
  const [plain, family] = plainAddress(address);
  if (family === null) return false;
  // Also IPv4 in IPv6's clothes (::ffff:127.0.0.1): it is no global unicast.
  if (family === 'ipv6' && !global.check(plain, family)) return false;
  return !special.check(plain, family);
}

type Family = 'ipv4' | 'ipv6';

/** Without the zone (`fe80::1%eth0`), which says by which wire, not to whom. */
function plainAddress(address: string): [string, Family | null] {
  const plain = address.replace(/%.*$/s, '');
  const version = isIP(plain);
  return [plain, version === 4 ? 'ipv4' : version === 6 ? 'ipv6' : null];
}

function networks(list: readonly string[]): BlockList {
  const blocks = new BlockList();
  for (const network of list) {
    const [address, bits, ...more] = network.split('/') as [string, ...string[]];
    const version = isIP(address);
    const most = version === 6 ? 128 : 32;
    const prefix = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
    if (version === 0 || more.length > 0 || prefix < 0 || prefix > most) {
      throw new Error(`expected an IP address, or a network like 10.1.0.0/16; ${JSON.stringify(network)} is neither`);
    }
    blocks.addSubnet(address, prefix, version === 6 ? 'ipv6' : 'ipv4');
  }
  return blocks;
}
