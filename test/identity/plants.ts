import type { Plant } from '../brute/plants.ts';

/** Mistakes about who visitors are, each put into one place of the source; what the comparison must find by 5 interleavings. */
export const plants: { readonly [name: string]: Plant } = {
  'what comes again is forwarded twice': {
    file: 'src/fold/taken.ts',
    right: 'if (n < count) return null;',
    wrong: '',
  },
  'a rebuilt shard has all it ever sent taken again': {
    file: 'src/fold/taken.ts',
    right: 'if (offset < known.offset) return null;',
    wrong: '',
  },
  'of what one record sends only the first is taken': {
    file: 'src/fold/taken.ts',
    right: 'if (n < count) return null;',
    wrong: 'return null;',
  },
  'what a visitor has sent is forgotten when its shard gets another owner': {
    file: 'src/model/codec.ts',
    right: 'return sent === null ?',
    wrong: 'return sent !== undefined ?',
  },
  'the outputs of a merge are lost when a commit is cut within its record': {
    file: 'src/fold/work.ts',
    right: '      outbox: this.#outbox,',
    wrong: "      outbox: outputs === 0 ? this.#outbox : this.#outbox.filter(({ topic }) => topic !== 'moves'),",
  },
  'what is held when its visitor becomes known is lost': {
    file: 'src/fold/identify.ts',
    right: 'const before = releaseAll(context, found);',
    wrong: 'const before = found;',
  },
  'what comes too late is folded where it comes': {
    file: 'src/fold/arrival.ts',
    right: 'visitor.alias === null ?',
    wrong: 'visitor.alias !== undefined ?',
  },
  'a visitor becomes a second user': {
    file: 'src/fold/identify.ts',
    right: 'if (found.alias !== null) return',
    wrong: 'if (found.alias === user) return',
  },
  'a known user becomes another': {
    file: 'src/fold/identify.ts',
    right: 'if (isUserId(id)) return refused(context, stored, record);',
    wrong: '',
  },
  'what is sent on happens when it arrives': {
    file: 'src/fold/forward.ts',
    right: 'event: { ...record, at },',
    wrong: 'event: { ...record, at: context.appendTime },',
  },
  'cart lines are added in place of united': {
    file: 'src/decide/cart.ts',
    right: 'if (known === undefined || changedAt(line) > changedAt(known)) lines.set(line[0], line);',
    wrong: 'lines.set(line[0], known === undefined ? line : [line[0], known[1] + line[1], line[2], line[3]]);',
  },
  'what one has ordered stays in the cart of the other': {
    file: 'src/decide/cart.ts',
    right: 'orderedAt === null || changedAt(line) > orderedAt);',
    wrong: 'orderedAt !== undefined || changedAt(line) > 0);',
  },
  'counts are taken in place of added': {
    file: 'src/decide/uniteTraits.ts',
    right: 'return joined(trait.kind, user, other);',
    wrong: 'return other;',
  },
  'consent takes the looser': {
    file: 'src/decide/uniteTraits.ts',
    right: 'user === false || other === false ? false',
    wrong: 'user === true || other === true ? true',
  },
  "a list begins with the other's": {
    file: 'src/decide/uniteLists.ts',
    right: 'return userIsLater ? user : other;',
    wrong: 'return userIsLater ? other : user;',
  },
  'windows are added whatever their steps': {
    file: 'src/decide/uniteAggregates.ts',
    right: 'steps.set(step, known === undefined ? cell : unitedCell(kind, { user: known, other: cell }, uniting));',
    wrong: 'steps.set(step, cell);',
  },
  'a score is added as it was when it grew': {
    file: 'src/decide/uniteAggregates.ts',
    right: 'const left = decayed(user, at, halfLifeMs);',
    wrong: 'const left = user[0];',
  },
  'a limit by session ends with the login': {
    file: 'src/decide/uniteRules.ts',
    right: 'return isOpen ? [sessions.united, times] : undefined;',
    wrong: 'return isOpen ? [by, times] : undefined;',
  },
  'the cart is waited for under the number that it had': {
    file: 'src/decide/uniteRules.ts',
    right: 'each[0] === keys.from ?',
    wrong: 'each[0] === null ?',
  },
  'an order on one device does not end the wait of the other': {
    file: 'src/decide/uniteRules.ts',
    right: 'if (absence === null || orderedAt === null || at > orderedAt) return false;',
    wrong: 'if (absence !== undefined) return false;',
  },
  'waits go without their timers': {
    file: 'src/decide/uniteRules.ts',
    right: 'if (timer !== null) timers.keep',
    wrong: 'if (timer === undefined) timers.keep',
  },
  'what was shown first stays, whatever its cause': {
    file: 'src/fold/slots.ts',
    right: 'if (own !== undefined && own.cause.at >= candidate.cause.at) continue;',
    wrong: 'if (own !== undefined) continue;',
  },
  'a session ends when the first of the two would have': {
    file: 'src/decide/unite.ts',
    right: 'return others.due! > own.due! ? others : own;',
    wrong: 'return own;',
  },
  'a merge asks nobody what segments it makes': {
    file: 'src/fold/merge.ts',
    right: '    visitor = segments.visitor;',
    wrong: '',
  },
};
