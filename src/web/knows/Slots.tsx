import { shopper, slots } from '../state.ts';
import { sentenceOf } from './words.ts';

export function Slots() {
  const all = [...slots.value.values()].sort((a, b) => a.name.localeCompare(b.name));
  if (all.length === 0) return null;
  return (
    <>
      <h2 class="label">What {shopper} sees</h2>
      <ul class="slots">
        {all.map((slot) => (
          <li key={`${slot.name} ${slot.version}`} class={slot.source === 'FALLBACK' ? 'slotrow' : 'slotrow chosen'}>
            <details>
              <summary>
                <code>{slot.name}</code>
                <span class="shows">{slot.content.id}</span>
                <span class="source">{slot.source.toLowerCase()}</span>
              </summary>
              <p class="why">{sentenceOf(slot)}</p>
            </details>
          </li>
        ))}
      </ul>
    </>
  );
}
