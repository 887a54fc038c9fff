import { signal } from '@preact/signals';
import { type Product, products, search } from '../products.ts';
import { ProductCard } from './ProductCard.tsx';
import { UsherSlot } from './UsherSlot.tsx';

const category = signal<string | null>(null);

export function Home() {
  const all = [...products.value!.values()];
  const categories = [...new Set(all.map((product) => product.category))];
  const shown =
    category.value === null ? interleave(all) : all.filter((product) => product.category === category.value);
  return (
    <>
      <UsherSlot name="home_hero" page="home">
        <strong>Welcome in.</strong> Sixty things that outlast the weather.
      </UsherSlot>
      <nav class="chips" aria-label="Categories">
        <Chip name={null} />
        {categories.map((name) => (
          <Chip key={name} name={name} />
        ))}
      </nav>
      <ProductGrid list={shown} />
    </>
  );
}

function Chip({ name }: { name: string | null }) {
  return (
    <button type="button" class="chip" aria-pressed={category.value === name} onClick={() => (category.value = name)}>
      {name === null ? 'Everything' : words(name)}
    </button>
  );
}

export function words(id: string): string {
  const text = id.replaceAll('_', ' ').replaceAll('.', ' · ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** One of each category in turn, so that the first screen shows the whole shop. */
function interleave(all: readonly Product[]): Product[] {
  const byCategory = Map.groupBy(all, (product) => product.category);
  const longest = Math.max(0, ...[...byCategory.values()].map((group) => group.length));
  return Array.from({ length: longest }, (_, i) => [...byCategory.values()].flatMap((group) => group[i] ?? [])).flat();
}

export function SearchResults({ query }: { query: string }) {
  const found = search(query);
  return (
    <>
      <UsherSlot name="search_banner" page="search">
        Search by name, brand or category.
      </UsherSlot>
      <h2>
        {found.length === 0 ? 'Nothing found for' : `${found.length} found for`} “{query}”
      </h2>
      {found.length === 0 ? <p class="empty">Try “tent”, “knife” or a brand.</p> : <ProductGrid list={found} />}
    </>
  );
}

function ProductGrid({ list }: { list: readonly Product[] }) {
  return (
    <ul class="grid" aria-label="Products">
      {list.map((product) => (
        <ProductCard key={product.id} product={product} />
      ))}
    </ul>
  );
}
