import { signal } from '@preact/signals';
import { products, search } from './products.ts';
import { track, usher } from './state.ts';

/** The shop's views; the address after the # names one, so that back, forward and reload work. */
export type Route =
  | { readonly view: 'home' }
  | { readonly view: 'product'; readonly id: string }
  | { readonly view: 'search'; readonly query: string }
  | { readonly view: 'elsewhere'; readonly path: string }
  | { readonly view: 'cart' }
  | { readonly view: 'checkout' }
  | { readonly view: 'thanks'; readonly orderId: string };

export const route = signal<Route>({ view: 'home' });

export const href = {
  home: '#/',
  cart: '#/cart',
  checkout: '#/checkout',
  product: (id: string) => `#/product/${encodeURIComponent(id)}`,
  search: (query: string) => `#/search/${encodeURIComponent(query)}`,
  elsewhere: (path: string) => `#/elsewhere/${encodeURIComponent(path)}`,
  thanks: (orderId: string) => `#/thanks/${encodeURIComponent(orderId)}`,
};

export function go(address: string): void {
  location.hash = address;
}

function parse(hash: string): Route {
  const [view = '', ...rest] = hash.replace(/^#\/?/, '').split('/');
  let value = '';
  try {
    value = decodeURIComponent(rest.join('/'));
  } catch {
    // A cut-off % in a pasted address.
  }
  if (view === 'product' && value !== '') return { view, id: value };
  if (view === 'search' && value !== '') return { view, query: value };
  if (view === 'elsewhere' && value !== '') return { view, path: value };
  if (view === 'thanks' && value !== '') return { view, orderId: value };
  if (view === 'cart' || view === 'checkout') return { view };
  return { view: 'home' };
}

/** How much was found is said only once the products are there to count. */
function searched(query: string): { query: string; results?: number } {
  return products.value === null ? { query } : { query, results: search(query).length };
}

export function startRouting(): void {
  const follow = () => {
    const next = parse(location.hash);
    route.value = next;
    void usher.pageViewed(next.view);
    if (next.view === 'product') track('product_viewed', { productId: next.id });
    else if (next.view === 'search') track('search_performed', searched(next.query));
    else if (next.view === 'checkout') track('checkout_started');
  };
  addEventListener('hashchange', follow);
  follow();
}
