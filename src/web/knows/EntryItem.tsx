import type { Stage } from '../../sdk/index.ts';
import type { Entry } from '../state.ts';
import { brief, milliseconds, remark, sentenceOf, spoken } from './words.ts';

export function EntryItem({ entry }: { entry: Entry }) {
  const { activity, stages, clickToPageMs } = entry;
  const note = remark(activity);
  const quiet = activity.rules.length === 0 && activity.slots.length === 0;
  return (
    <li class={`entry ${quiet ? 'quiet' : 'loud'} ${activity.what.toLowerCase()}`}>
      <p class="what">
        <strong>{spoken(activity.type)}</strong>
        <span class="brief">{brief(activity.properties)}</span>
        <time dateTime={activity.at}>{new Date(activity.at).toLocaleTimeString([], { hour12: false })}</time>
      </p>
      {note !== null && (
        <p class="note">
          {note}
          {activity.detail !== null && `: ${activity.detail}`}
        </p>
      )}
      {activity.rules.length > 0 && (
        <p class="rules">
          {activity.rules.length === 1 ? 'rule' : 'rules'}{' '}
          {activity.rules.map((rule) => (
            <code key={rule}>{rule}</code>
          ))}
        </p>
      )}
      {activity.slots.map((slot) => (
        <p key={slot.name} class="changed">
          <code>{slot.name}</code> <span aria-hidden="true">→</span>
          <span class="unseen">now shows</span> <b>{slot.content.id}</b>
          <span class="why">{sentenceOf(slot)}</span>
        </p>
      ))}
      {stages.length > 0 && <Stages stages={stages} clickToPageMs={clickToPageMs} />}
    </li>
  );
}

/** `log→fold` took so long: the event had then reached the fold. */
function reached({ name }: Stage): string {
  return `→ ${name.split('→').at(-1)}`;
}

/** The way of the event, one bar a stage, as long as its share of the whole. */
function Stages({ stages, clickToPageMs }: { stages: readonly Stage[]; clickToPageMs: number | null }) {
  const total = stages.reduce((sum, stage) => sum + stage.ms, 0);
  return (
    <div class="stages">
      <div class="bars" aria-hidden="true">
        {stages.map((stage) => (
          <i key={stage.name} style={{ flexGrow: Math.max(stage.ms / (total || 1), 0.02) }} />
        ))}
      </div>
      <ul aria-label="Time of each stage, in milliseconds">
        {stages.map((stage) => (
          <li key={stage.name}>
            {reached(stage)} <b>{milliseconds(stage.ms)}</b>
          </li>
        ))}
        <li class="sum">
          <b>{milliseconds(clickToPageMs ?? total)} ms</b> {clickToPageMs === null ? 'in Usher' : 'from click to page'}
        </li>
      </ul>
    </div>
  );
}
