import { useEffect } from 'preact/hooks';
import { currency, loadProducts, products, productsMissing } from '../products.ts';
import { go, href, route } from '../route.ts';
import { cartCount } from '../state.ts';
import { Cart, Checkout, Thanks } from './Cart.tsx';
import { Home, SearchResults } from './Home.tsx';
import { ProductView } from './ProductView.tsx';

export function Shop() {
  useEffect(() => void loadProducts(), []);
  return (
    <section class="shop" aria-label="The shop">
      <header class="shopbar">
        <a class="shopname" href={href.home}>
          Lantern &amp; Loom
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
      <div class="shopbody">{products.value === null ? <Waiting /> : <View />}</div>
    </section>
  );
}

function View() {
  const at = route.value;
  // The key makes the new view start at its top, with its own slots.
  if (at.view === 'product') return <ProductView key={at.id} id={at.id} />;
  if (at.view === 'search') return <SearchResults key={at.query} query={at.query} />;
  if (at.view === 'cart') return <Cart />;
  if (at.view === 'checkout') return <Checkout />;
  if (at.view === 'thanks') return <Thanks orderId={at.orderId} />;
  return <Home />;
}

function Waiting() {
  return productsMissing.value ? (
    <p class="empty">The playbook's products could not be read. Is Usher running?</p>
  ) : (
    <p class="empty" aria-busy="true">
      Opening the shop in {currency}…
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
