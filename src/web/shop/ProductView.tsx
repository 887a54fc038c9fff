import { availabilityWords, money, products } from '../products.ts';
import { href } from '../route.ts';
import { track } from '../state.ts';
import { words } from './Home.tsx';
import { ProductCard } from './ProductCard.tsx';
import { UsherSlot } from './UsherSlot.tsx';

export function ProductView({ id }: { id: string }) {
  const product = products.value!.get(id);
  if (product === undefined) {
    return (
      <p class="empty">
        There is no product {id}. <a href={href.home}>Back to the shop</a>
      </p>
    );
  }
  const others = [...products.value!.values()].filter((one) => one.category === product.category && one.id !== id);
  return (
    <article>
      <p class="crumbs">
        <a href={href.home}>Shop</a> / {words(product.category)}
      </p>
      <div class="product">
        <img src={product.image} alt="" width="260" height="260" />
        <div class="productwords">
          <h2>{product.name}</h2>
          <p class="cardbrand">
            {product.brand} · <code>{product.id}</code>
          </p>
          <p class="price large">{money(product.price)}</p>
          {availabilityWords(product) !== '' && <p class="cardbrand">{availabilityWords(product)}</p>}
          <button
            type="button"
            class="primary"
            disabled={product.availability === 'out_of_stock'}
            onClick={() => track('cart_item_added', { productId: id, quantity: 1, price: product.price })}
          >
            Add to cart
          </button>
        </div>
      </div>
      <UsherSlot name="product_upsell" page="product">
        Free returns within 30 days.
      </UsherSlot>
      {others.length > 0 && (
        <>
          <h3>More in {words(product.category).toLowerCase()}</h3>
          <ul class="grid" aria-label="More products">
            {others.slice(0, 6).map((one) => (
              <ProductCard key={one.id} product={one} />
            ))}
          </ul>
        </>
      )}
    </article>
  );
}
