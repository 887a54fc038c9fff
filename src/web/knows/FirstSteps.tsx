import { signal } from '@preact/signals';
import { money, products } from '../products.ts';
import { href } from '../route.ts';
import { cartValue, entries, slots, token } from '../state.ts';

/** The product, the sum and the content of the demo store's rule upsell_over_100. */
const productId = 'p_017';
const over = 100;

const copied = signal(false);

/** A first story to click through, with what is done ticked off; and the same from a terminal. */
export function FirstSteps() {
  const product = products.value?.get(productId);
  const viewed = entries.value.some(
    ({ activity }) => activity.type === 'product_viewed' && activity.properties?.['productId'] === productId,
  );
  const shown = slots.value.get('product_upsell')?.content.id === 'extra_warranty';
  const steps = [
    { done: cartValue.value > over || shown, words: <>Put more than {money(over)} into the cart</> },
    {
      done: viewed || shown,
      words: <>Look at {product === undefined ? productId : <a href={href.product(productId)}>{product.name}</a>}</>,
    },
    { done: shown, words: <>Watch the slot under it change, without a reload</> },
  ];
  const curl = `curl -s ${location.origin}/graphql -H 'content-type: application/json' -H 'authorization: Bearer ${token}' \\
  -d '{"query":"mutation { trackEvent(input: {type: \\"product_viewed\\", properties: {productId: \\"${productId}\\"}}) { outcome { status } slots { name source content { id } why { sentence } } } }"}'`;
  const copy = async () => {
    await navigator.clipboard.writeText(curl);
    copied.value = true;
    setTimeout(() => (copied.value = false), 1_500);
  };
  return (
    <details class="steps" open={!shown}>
      <summary>{shown ? 'Done: the page changed by itself' : 'Try it'}</summary>
      <ol>
        {steps.map((step, i) => (
          <li key={i} class={step.done ? 'done' : ''}>
            {step.words}
            {step.done && <span class="unseen"> (done)</span>}
          </li>
        ))}
      </ol>
      <p>Click a product, or paste this into a terminal:</p>
      <div class="curl">
        <pre>
          <code>{curl}</code>
        </pre>
        <button type="button" class="plain" onClick={() => void copy()}>
          {copied.value ? 'Copied' : 'Copy'}
        </button>
      </div>
    </details>
  );
}
