import { money, type Product } from '../products.ts';
import { href } from '../route.ts';
import { track } from '../state.ts';

export function ProductCard({ product }: { product: Product }) {
  return (
    <li class="card">
      <a href={href.product(product.id)} onClick={() => track('product_clicked', { productId: product.id })}>
        <img src={product.image} alt="" width="120" height="120" loading="lazy" />
        <span class="cardname">{product.name}</span>
        <span class="cardbrand">{product.brand}</span>
      </a>
      <div class="cardfoot">
        <span class="price">{money(product.price)}</span>
        <button
          type="button"
          class="add"
          aria-label={`Add ${product.name} to the cart`}
          onClick={() => track('cart_item_added', { productId: product.id, quantity: 1, price: product.price })}
        >
          Add
        </button>
      </div>
    </li>
  );
}
