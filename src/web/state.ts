import { batch, computed, signal } from '@preact/signals';
import {
  type Activity,
  type ContentUpdate,
  createUsher,
  defineUsherSlot,
  type Properties,
  type Slot,
  type Stage,
  type UsherClientError,
  type VisitorFacts,
} from '../sdk/index.ts';
import { startRouting } from './route.ts';

/** Entries that the list keeps; older ones leave. */
const entriesMax = 100;
/** Tracked events whose click is remembered until their effect arrives. */
const clicksMax = 200;

/** `?as=bob`: two names are two shoppers. A link of a mail opens as whom it was sent to. What is no plain name is taken as alice. */
const address = new URLSearchParams(location.search);
const asked = address.get('as') ?? receiverOf(address.get('offer') ?? '');
export const shopper = /^[A-Za-z0-9_.-]{1,40}$/.test(asked) ? asked : 'alice';
export const token = `dev:${shopper}`;
export const usher = createUsher({ token, onError: (error) => show(error) });

/** One line of what Usher knows: an event, or a timer, and what it changed. */
export interface Entry {
  readonly key: string;
  readonly activity: Activity;
  readonly stages: readonly Stage[];
  /** From `track` in this page to the news of its effect, ms; null for events that came from elsewhere. */
  readonly clickToPageMs: number | null;
}

export const entries = signal<readonly Entry[]>([]);
export const facts = signal<VisitorFacts | null>(null);
export const slots = signal<ReadonlyMap<string, Slot>>(new Map());
export const connected = signal<boolean | null>(null);
export const problem = signal<string | null>(null);
export const cartCount = computed(() => facts.value?.cart.lines.reduce((sum, line) => sum + line.quantity, 0) ?? 0);
export const cartValue = computed(() => facts.value?.cart.value ?? 0);

const clicks = new Map<string, number>();

export function track(type: string, properties: Properties = {}): void {
  const id = newId();
  clicks.set(id, performance.now());
  if (clicks.size > clicksMax) clicks.delete(clicks.keys().next().value!);
  void usher.track(type, properties, { id }).then((outcome) => {
    if (outcome.status === 'ACCEPTED') problem.value = null;
  });
}

function show(error: UsherClientError): void {
  problem.value = `${error.code}: ${error.message}${error.hint === null ? '' : ` ${error.hint}`}`;
}

function newId(): string {
  const hex = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join(
    '',
  );
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
}

export function start(): void {
  document.title = `${shopper} · Usher`;
  defineUsherSlot(usher);
  usher.activity(onActivity, {
    onConnected: (now) => {
      connected.value = now;
      // What happened while the line was down is in the facts, if not in the list.
      if (now) refreshFacts();
    },
    onError: show,
  });
  usher.subscribe(null, onUpdate, { onError: show });
  startRouting();
}

function onActivity(activity: Activity): void {
  const clicked = activity.eventId === null ? undefined : clicks.get(activity.eventId);
  const clickToPageMs = clicked === undefined || activity.what !== 'FOLDED' ? null : performance.now() - clicked;
  const key = `${activity.position} ${activity.what} ${activity.type} ${activity.eventId}`;
  entries.value = [
    { key, activity, stages: activity.stages, clickToPageMs },
    ...entries.value.filter((entry) => entry.key !== key),
  ].slice(0, entriesMax);
  refreshFacts();
}

function onUpdate(update: ContentUpdate): void {
  batch(() => {
    const next = new Map(update.kind === 'SNAPSHOT' ? [] : slots.value);
    for (const slot of update.slots) next.set(slot.name, slot);
    slots.value = next;
    const cause = update.cause;
    if (cause === null || cause.eventId === null) return;
    // Both say how long the stages took; the one that went on for longer has the later stages too.
    entries.value = entries.value.map((entry) =>
      entry.activity.eventId === cause.eventId && cause.stages.length > entry.stages.length
        ? { ...entry, stages: cause.stages }
        : entry,
    );
  });
}

let asking = false;
let askAgain = false;
/** One question at a time; what happens meanwhile is asked for once, after it. */
function refreshFacts(): void {
  if (asking) {
    askAgain = true;
    return;
  }
  asking = true;
  usher
    .visitor()
    .then(
      (visitor) => {
        facts.value = visitor;
      },
      (error: UsherClientError) => show(error),
    )
    .finally(() => {
      asking = false;
      if (askAgain) {
        askAgain = false;
        refreshFacts();
      }
    });
}

/** The development name in a link's token. It only chooses which shopper to play: whether the link holds, Usher says. */
function receiverOf(token: string): string {
  try {
    const body = token.split('.')[0]!.replaceAll('-', '+').replaceAll('_', '/');
    return /^dev:(.+)$/.exec((JSON.parse(atob(body)) as { visitor: string }).visitor)?.[1] ?? '';
  } catch {
    return '';
  }
}
