/** A mistake put into one place of the fold's source, to see that the comparison finds it. */
export interface Plant {
  readonly file: string;
  /** Must stand in the file once. */
  readonly right: string;
  readonly wrong: string;
}

/** What the comparison must find, each by 5 histories. */
export const plants: { readonly [name: string]: Plant } = {
  'a window is a step too wide': {
    file: 'src/decide/aggregates.ts',
    right: 'Math.floor(now / stepMs) - steps + 1;',
    wrong: 'Math.floor(now / stepMs) - steps;',
  },
  'an event stands where visitor now is in a window, not where it happened': {
    file: 'src/decide/aggregates.ts',
    right: 'const step = Math.floor(event.at / window.stepMs);',
    wrong: 'const step = Math.floor(event.now / window.stepMs);',
  },
  'what leaves a window is thought of a step late': {
    file: 'src/decide/aggregates.ts',
    right: 'const leaves = (step + window.steps) * window.stepMs;',
    wrong: 'const leaves = (step + window.steps + 1) * window.stepMs;',
  },
  'the last of a window is the last that was folded': {
    file: 'src/decide/aggregates.ts',
    right: 'while (place > 0 && kept[place - 1]![0] > step) place--;',
    wrong: '',
  },
  'a value seen again is counted twice by distinct': {
    file: 'src/decide/aggregates.ts',
    right: 'seen.filter(([each, last]) => each !== value && last >= oldest)',
    wrong: 'seen.filter(([, last]) => last >= oldest)',
  },
  'the group that is the oldest leaves, not the one seen least recently': {
    file: 'src/decide/aggregates.ts',
    right: 'return [...room, [group, next]] as unknown as Json;',
    wrong:
      'return (kept === undefined ? [...room, [group, next]] : groups.map((each) => (each[0] === group ? [group, next] : each))) as unknown as Json;',
  },
  'a late event adds to a score all that it was worth': {
    file: 'src/decide/aggregates.ts',
    right: '(value as number) * 2 ** (-(now - at) / trait.halfLifeMs)',
    wrong: '(value as number)',
  },
  "a sequence's time begins with the event before": {
    file: 'src/decide/sequences.ts',
    right: 'scope.now - partial[1] <= trigger.withinMs',
    wrong: 'scope.now - partial[2] <= trigger.withinMs',
  },
  'an event that must not lie between does no harm': {
    file: 'src/decide/sequences.ts',
    right: 'const isVoid = trigger.without.includes(eventType);',
    wrong: 'const isVoid = false;',
  },
  'a match leaves what led to it': {
    file: 'src/decide/sequences.ts',
    right: 'return { rules: without(before, name), names: namesOf(complete, elements), errors };',
    wrong: 'return { rules: before, names: namesOf(complete, elements), errors };',
  },
  'events of a run need not have the same value': {
    file: 'src/decide/sequences.ts',
    right: '|| (!element.first && value !== same)',
    wrong: '',
  },
  'of two partial matches the older is kept': {
    file: 'src/decide/sequences.ts',
    right: 'b[1] > a[1] || (b[1] === a[1] && b[2] >= a[2])',
    wrong: 'b[1] < a[1]',
  },
  'an order cancels no absence': {
    file: 'src/decide/waits.ts',
    right: 'else if (known !== undefined) changes.push({ rule: rule.id, key, due: null });',
    wrong: '',
  },
  'an absence is not begun anew by another cause': {
    file: 'src/decide/waits.ts',
    right: 'if (known !== undefined && at < known[1]) continue;',
    wrong: 'if (known !== undefined && (starts || at < known[1])) continue;',
  },
  'an event from before cancels what came after it': {
    file: 'src/decide/waits.ts',
    right: 'if (known !== undefined && at < known[1]) continue;',
    wrong: '',
  },
  'an add that its order overtook starts an absence': {
    file: 'src/decide/waits.ts',
    right: 'trigger.since.includes(record.type) && !startsNone()',
    wrong: 'trigger.since.includes(record.type)',
  },
  'a wait does not know its key': {
    file: 'src/decide/waits.ts',
    right: 'return textOf(key.evaluate(scope));',
    wrong: "return key === null ? null : '';",
  },
  'a limit counts a rule whose condition did not hold': {
    file: 'src/decide/rules.ts',
    right: 'if (!this.#applies(rule, holds, scope)) return;',
    wrong:
      'if (!this.#applies(rule, holds, scope)) { if (rule.limit !== null) this.states = withRun(rule, this.states, scope, this.#playbook); return; }',
  },
  'a rule runs that shows only what is over': {
    file: 'src/decide/rules.ts',
    right: "return entry.do === 'show' && entry.until !== null && entry.until <= now;",
    wrong: 'return false;',
  },
  'a limit by session does not end with the session': {
    file: 'src/decide/limits.ts',
    right: 'return last === by ? times : 0;',
    wrong: "return last === by || limit.per === 'session' ? times : 0;",
  },
  'rules of a group count apart': {
    file: 'src/decide/limits.ts',
    right: 'return group === null ? `limit.${per}.${rule.id}` : `group.${per}.${group}`;',
    wrong: 'return `limit.${per}.${rule.id}`;',
  },
  'a cool-down lasts a millisecond longer': {
    file: 'src/decide/limits.ts',
    right: 'scope.now < ranAt + rule.cooldownMs',
    wrong: 'scope.now <= ranAt + rule.cooldownMs',
  },
  'an event does not move the time at which a segment is left': {
    file: 'src/fold/effects.ts',
    right: 'next.map((each) => (each === before ? set : each));',
    wrong: 'next;',
  },
  'a segment is looked at when its comparison turns, and not just after': {
    file: 'src/decide/segments.ts',
    right: 'spread, 0, 1);',
    wrong: 'spread, 0, 0);',
  },
  'a segment that reads another does not see it as it is now': {
    file: 'src/decide/segments.ts',
    right: 'scope.setSegments(members);',
    wrong: '',
  },
  "timers fire by event time, however late their event's record was": {
    file: 'src/fold/timers.ts',
    right: 'wallDue: number = due + skew,',
    wrong: 'wallDue: number = due,',
  },
};
