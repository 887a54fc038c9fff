import { comparable, nameOf } from '../cel/types.ts';
import { nearest } from '../model/nearest.ts';
import type { Purpose } from '../model/purposes.ts';
import { withTypes } from './actions.ts';
import { factsToExplain } from './captures.ts';
import type { Asked, Checked, EntryPlace } from './entries.ts';
import { type CheckedExpression, checkExpression } from './expressions.ts';
import type { RawSend } from './formatRules.ts';
import type { Send } from './playbook.ts';
import type { Report } from './problem.ts';
import type { ActionDefinition } from './sending.ts';
import { type Located, startOf } from './shape.ts';
import { lookUp, type RuleSurroundings } from './surroundings.ts';

/** A message that a rule sends. */
export function checkSend(
  raw: RawSend,
  asked: Asked,
  { declared, conditions }: EntryPlace,
  around: RuleSurroundings,
): Checked<Send> | null {
  const { report, actions } = around;
  const known = lookUp(raw.action, actions, 'action', report);
  if (known === null) return null;
  around.sends(raw.action.value);
  // One that is declared, but broken, has been told.
  const action = known.checked;
  if (action === null || declared === null) return null;
  const values: [string, CheckedExpression][] = [];
  let ok = checkPurpose(raw.action, asked.purpose, action, report);
  for (const { id, span, value: at } of raw.with ?? []) {
    const value = checkExpression(at, declared, report);
    if (value === null) ok = false;
    else if (checkValue(action, id, span, at, value, report)) values.push([id, value]);
    else ok = false;
  }
  const missing = [...action.takes.keys()].filter((name) => !raw.with?.some(({ id }) => id === name));
  if (missing.length > 0) {
    report.error(startOf(raw.at), `${action.id} needs ${missing.join(' and ')}`, {
      expected: `with: { ${missing.map((name) => `${name}: …`).join(', ')} }`,
    });
    return null;
  }
  if (!ok) return null;
  const entry: Send = {
    do: 'send',
    ...asked,
    purpose: asked.purpose ?? action.purpose,
    action: action.id,
    with: values,
    captures: factsToExplain([...conditions, asked.if], declared),
  };
  return { entry, reads: values.flatMap(([, { reads }]) => reads) };
}

/** One message has one purpose: a rule cannot send under another what its action says it is for. */
function checkPurpose(
  at: Located<string>,
  purpose: Purpose | null,
  { id, purpose: own }: ActionDefinition,
  report: Report,
): boolean {
  if (purpose === null || own === null || purpose === own) return true;
  report.error(at.tree, `${id} is for ${own}, and is sent here for ${purpose}`, { expected: `purpose: ${own}` });
  return false;
}

function checkValue(
  { id: action, takes }: ActionDefinition,
  name: string,
  span: Parameters<Report['error']>[0],
  at: Located<string>,
  { cel }: CheckedExpression,
  report: Report,
): boolean {
  const type = takes.get(name);
  if (type === undefined) {
    const names = [...takes.keys()];
    const near = nearest(name, names);
    const expected = names.length === 0 ? 'nothing' : `one of ${names.join(', ')}`;
    report.error(span, `${action} takes no ${name}`, near === null ? { expected } : { expected, nearest: near });
    return false;
  }
  const wanted = withTypes[type];
  if (cel.type.kind !== 'null' && comparable(cel.type, wanted)) return true;
  report.error(at.tree, `${name} of ${action} is a ${nameOf(wanted)}, and this is a ${nameOf(cel.type)}`, {
    expected: nameOf(wanted),
  });
  return false;
}
