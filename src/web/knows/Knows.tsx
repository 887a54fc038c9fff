import { entries } from '../state.ts';
import { EntryItem } from './EntryItem.tsx';
import { Facts } from './Facts.tsx';
import { FirstSteps } from './FirstSteps.tsx';
import { Slots } from './Slots.tsx';

export function Knows() {
  return (
    <section class="knows" aria-labelledby="knows-title">
      <h1 id="knows-title" tabIndex={-1}>
        What Usher knows
      </h1>
      <Facts />
      <Slots />
      <FirstSteps />
      <h2 class="label">What happened</h2>
      {entries.value.length === 0 ? (
        <p class="empty">Each event, the rule that fired and the time it took appear here, the newest first.</p>
      ) : (
        <ol class="entries" aria-live="polite" aria-relevant="additions" reversed>
          {entries.value.map((entry) => (
            <EntryItem key={entry.key} entry={entry} />
          ))}
        </ol>
      )}
    </section>
  );
}
