import { useEffect } from 'preact/hooks';
import { UsherSlotElement } from '../../sdk/index.ts';
import { loadOffer } from '../offer.ts';
import { loadProducts, products, productsMissing, search } from '../products.ts';
import { go, href, route } from '../route.ts';
import { cartCount } from '../state.ts';
import { Cart, Checkout, Thanks } from './Cart.tsx';
import { Home, SearchResults } from './Home.tsx';
import { ProductView } from './ProductView.tsx';
import { UsherSlot } from './UsherSlot.tsx';

export function Shop() {
  // Each page has the prices of the moment, as a shop's own would.
  const page = JSON.stringify(route.value);
  useEffect(() => void loadProducts(), [page]);
  useEffect(() => void loadOffer(), []);
  return (
    <section class="shop" aria-label="The shop">
      <header class="shopbar">
        <a class="shopname" href={href.home}>
          Fell &amp; Fire
        </a>
        <SearchForm />
        <a
          class="cartlink"
          href={href.cart}
          aria-label={`Cart, ${cartCount} ${cartCount.value === 1 ? 'item' : 'items'}`}
        >
          Cart <span class={cartCount.value > 0 ? 'count some' : 'count'}>{cartCount}</span>
        </a>
      </header>
      <UsherSlot name="notice" bare>
        Good things for the mountains and the kitchen
      </UsherSlot>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: it only catches the clicks of the links in it */}
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: a link that is followed by keyboard is a click too */}
      <div class="shopbody" onClick={stayInTheDemo}>
        {products.value === null ? <Waiting /> : <View />}
      </div>
    </section>
  );
}

/** The contents link to pages of a real shop. Here they lead to what the shop has of it, or say where they would lead. */
function stayInTheDemo(event: MouseEvent): void {
  const link = event.composedPath().find((target) => target instanceof HTMLAnchorElement);
  if (link === undefined || !(event.target instanceof UsherSlotElement) || link.origin !== location.origin) return;
  event.preventDefault();
  const word = link.pathname.split('/').filter(Boolean).at(-1);
  if (word === undefined) go(href.home);
  else go(search(word).length > 0 ? href.search(decodeURIComponent(word)) : href.elsewhere(link.pathname));
}

function View() {
  const at = route.value;
  // The key makes the new view start at its top, with its own slots.
  if (at.view === 'product') return <ProductView key={at.id} id={at.id} />;
  if (at.view === 'search') return <SearchResults key={at.query} query={at.query} />;
  if (at.view === 'cart') return <Cart />;
  if (at.view === 'checkout') return <Checkout />;
  if (at.view === 'thanks') return <Thanks orderId={at.orderId} />;
  if (at.view === 'elsewhere') {
    return (
      <p class="empty">
        A real shop would have <code>{at.path}</code> here. <a href={href.home}>Back to this one</a>
      </p>
    );
  }
  return <Home />;
}

function Waiting() {
  return productsMissing.value ? (
    <p class="empty">The playbook's products could not be read. Is Usher running?</p>
  ) : (
    <p class="empty" aria-busy="true">
      Opening the shop…
    </p>
  );
}

function SearchForm() {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const query = String(new FormData(event.currentTarget as HTMLFormElement).get('query') ?? '').trim();
    if (query !== '') go(href.search(query));
  };
  return (
    <form class="search" onSubmit={submit}>
      <label class="unseen" for="query">
        Search the shop
      </label>
      <input id="query" name="query" type="search" placeholder="Search" maxLength={100} autocomplete="off" />
    </form>
  );
}
