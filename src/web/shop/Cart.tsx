import { useEffect } from 'preact/hooks';
import { offer, offerProblem, reduced } from '../offer.ts';
import { money, products } from '../products.ts';
import { go, href } from '../route.ts';
import { cartValue, facts, track } from '../state.ts';
import { MailMe } from './MailMe.tsx';
import { UsherSlot } from './UsherSlot.tsx';

/** The cart is what Usher folded from the events: the shop keeps none of its own. */
export function Cart() {
  const lines = facts.value?.cart.lines ?? [];
  return (
    <>
      <h2>Your cart</h2>
      <UsherSlot name="cart_banner" page="cart">
        Orders leave the same day.
      </UsherSlot>
      {lines.length === 0 ? (
        <p class="empty">
          Nothing in it yet. <a href={href.home}>Look around</a>
        </p>
      ) : (
        <>
          <Lines removable />
          <Promised />
          <p class="total">
            <Total />
            <a class="primary" href={href.checkout}>
              Check out
            </a>
          </p>
          <MailMe />
        </>
      )}
    </>
  );
}

/** What the link of a mail takes off, or why it does not. */
function Promised() {
  if (offerProblem.value !== null) return <p class="promised none">The link of your mail: {offerProblem.value}</p>;
  if (offer.value === null) return null;
  const { discountPercent, expiresAt } = offer.value;
  const until = expiresAt === null ? '' : `, until ${new Date(expiresAt).toLocaleDateString()}`;
  return (
    <p class="promised">
      {discountPercent} % off, by the link of your mail{until}
    </p>
  );
}

function Total() {
  const lines = facts.value?.cart.lines ?? [];
  const total = lines.reduce((sum, { quantity, price }) => sum + quantity * reduced(price), 0);
  return (
    <>
      Total {offer.value !== null && <s>{money(cartValue.value)}</s>} <strong>{money(total)}</strong>
    </>
  );
}

function Lines({ removable = false }: { removable?: boolean }) {
  return (
    <ul class="lines">
      {facts.value?.cart.lines.map((line) => {
        const product = products.value!.get(line.productId);
        return (
          <li key={line.productId}>
            {product !== undefined && <img src={product.image} alt="" width="48" height="48" />}
            <a href={href.product(line.productId)}>{product?.name ?? line.productId}</a>
            <span class="quantity">× {line.quantity}</span>
            <span class="price">{money(line.quantity * line.price)}</span>
            {removable && (
              <button
                type="button"
                class="plain"
                aria-label={`Remove one ${product?.name ?? line.productId}`}
                onClick={() => track('cart_item_removed', { productId: line.productId, quantity: 1 })}
              >
                Remove
              </button>
            )}
          </li>
        );
      })}
    </ul>
  );
}

export function Checkout() {
  const lines = facts.value?.cart.lines ?? [];
  const order = () => {
    const orderId = `o_${Date.now().toString(36)}`;
    track('order_completed', {
      orderId,
      lines: lines.map(({ productId, quantity, price }) => ({ productId, quantity, price: reduced(price) })),
    });
    go(href.thanks(orderId));
  };
  return (
    <>
      <h2>Checkout</h2>
      {lines.length === 0 ? (
        <p class="empty">
          There is nothing to pay for. <a href={href.home}>Look around</a>
        </p>
      ) : (
        <>
          <Lines />
          <Promised />
          <p class="total">
            <Total />
            <button type="button" class="primary" onClick={order}>
              Place the order
            </button>
          </p>
          <p class="small">A demo: no address, no payment, no parcel.</p>
        </>
      )}
    </>
  );
}

export function Thanks({ orderId }: { orderId: string }) {
  useEffect(() => document.querySelector<HTMLElement>('.thanks h2')?.focus(), []);
  return (
    <div class="thanks">
      <h2 tabIndex={-1}>Thank you</h2>
      <p>
        Order <code>{orderId}</code> is on its way, in spirit. The cart is empty again.
      </p>
      <a class="primary" href={href.home}>
        Back to the shop
      </a>
    </div>
  );
}
