import type { Json } from '../../sdk/index.ts';
import { money } from '../products.ts';
import { facts } from '../state.ts';

export function Facts() {
  const known = facts.value;
  const session = known?.session;
  const tiles: [name: string, value: string, detail: string | undefined][] = [
    ['Cart', known === null ? '–' : money(known.cart.value), lines(known?.cart.lines.length ?? 0)],
    ['Views', number(known?.visitor['productViews']), recent(known?.visitor['recentProducts'])],
    [
      'Session',
      session === null || session === undefined ? '–' : `No. ${number(session['number'])}`,
      campaign(session?.['campaign']),
    ],
    ['Orders', number(known?.visitor['orders']), undefined],
    ['Events', known === null ? '–' : String(known.counts['folded'] ?? 0), duplicates(known?.counts['duplicate'] ?? 0)],
  ];
  return (
    <dl class="facts">
      {tiles.map(([name, value, detail]) => (
        <div key={name} class="fact">
          <dt>{name}</dt>
          <dd>
            {value}
            {detail !== undefined && <small>{detail}</small>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function number(value: Json | undefined): string {
  return typeof value === 'number' ? String(value) : '–';
}
function lines(count: number): string {
  return count === 0 ? 'empty' : count === 1 ? '1 product' : `${count} products`;
}
function duplicates(count: number): string | undefined {
  return count === 0 ? undefined : `${count} sent twice`;
}
function recent(value: Json | undefined): string | undefined {
  return Array.isArray(value) && typeof value[0] === 'string' ? `last ${value[0]}` : undefined;
}
function campaign(value: Json | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
