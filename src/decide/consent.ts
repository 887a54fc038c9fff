import type { Scope } from '../playbook/playbook.ts';

/** Whether the visitor has said yes: what was never told is no consent. */
export function consents(purpose: string | null, scope: Scope): boolean {
  return purpose === null || scope.consent[purpose] === true;
}

/** Why something did not happen, for people. */
export function consentMissing(purpose: string): string {
  return `there is no consent to ${purpose}`;
}
