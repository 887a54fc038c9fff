import { isUsherError, type UsherError } from '../errors.ts';
import { viewerOf } from './context.ts';
import type { Services } from './services.ts';
import type { SlotAnswer } from './slotAnswers.ts';
import type { SlotOperation } from './slotOperation.ts';
import type { Identity } from './tokens.ts';

/**
 * The text of the response to a visitor's slot query; null: graphql-js must execute it. Only what goes well is answered here: whatever is
 * wrong with a token, an argument or the state is worded there, so the two cannot differ in it.
 *
 * Why: executing costs twice of what the rest of such a request does (docs/performance.md).
 */
export async function slotsResponse(
  operation: SlotOperation,
  variables: { readonly [name: string]: unknown } | null,
  identity: Identity | UsherError | null,
  userAgent: string | undefined,
  { slots, reads, playbook }: Services,
): Promise<string | null> {
  if (identity === null || isUsherError(identity) || identity.kind !== 'visitor') return null;
  const asked = operation.argumentsOf(variables);
  if (asked === null) return null;
  const { context, ...query } = asked;
  if (query.names?.some((name) => !playbook().slots.has(name)) === true) return null;
  let isSuperseded = false;
  try {
    const answers = await slots.readOf(identity.visitor, {
      ...query,
      viewer: viewerOf(context, userAgent),
      loader: reads,
      onSuperseded: () => {
        isSuperseded = true;
      },
    });
    return answers.every(isAnswer) && !isSuperseded ? operation.responseOf(answers) : null;
  } catch {
    return null;
  }
}

function isAnswer(answer: SlotAnswer | UsherError): answer is SlotAnswer {
  return !isUsherError(answer);
}
