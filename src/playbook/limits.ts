/** How much a playbook may hold. */
export const playbookLimits = {
  files: 200,
  events: 500,
  traits: 200,
  segments: 200,
  types: 100,
  content: 2_000,
  slots: 200,
  rules: 10_000,
  entriesPerRule: 10,
  eventsPerWhen: 20,
  segmentsPerWhen: 20,
  /** Events that a sequence waits for, `times` counted. */
  sequence: 20,
  destinations: 50,
  actions: 200,
  /** Values that a rule gives an action. */
  with: 20,
  /** Characters of a mail's text, and of its HTML, as written. */
  templateCharacters: 20_000,
  /** Facts of the visitor that an action's texts read. */
  templateFacts: 16,
  products: 50_000,
  captures: 8,
  /** Most characters that one trait, and all of a playbook, may take in the stored state of one visitor. */
  traitCharacters: 20_480,
  allTraitCharacters: 131_072,
} as const;
