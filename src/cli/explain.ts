import { clientOptions, connect } from './client.ts';
import type { Command } from './command.ts';
import { printable, type Style, styleOf } from './style.ts';

const query = `query Explain($visitor: VisitorRef!, $slot: String!) {
  explain(visitor: $visitor, slot: $slot) {
    winner contentId
    rules { ruleId name contentId outcome reasons decidedAt expiresAt facts { name value } }
  }
}`;

interface Explanation {
  readonly winner: string | null;
  readonly contentId: string;
  readonly rules: readonly RuleExplanation[];
}
interface RuleExplanation {
  readonly ruleId: string;
  readonly name: string;
  readonly contentId: string;
  readonly outcome: string;
  readonly reasons: readonly string[];
  readonly decidedAt: string | null;
  readonly expiresAt: string | null;
  readonly facts: readonly { readonly name: string; readonly value: unknown }[];
}

const actionQuery = `query ExplainAction($visitor: VisitorRef!, $action: String!) {
  rules: explainAction(visitor: $visitor, action: $action) {
    ruleId name contentId outcome reasons decidedAt expiresAt facts { name value }
  }
}`;

export const explain: Command = {
  name: 'explain',
  summary: 'Why a visitor sees what a slot shows, and why nothing else; or is sent no message',
  positionals: [
    { name: 'VISITOR', required: true, help: 'dev:alice, u:USER, or an anonymous id' },
    { name: 'SLOT', required: true, help: 'The slot; with --action the action' },
  ],
  options: {
    action: { type: 'boolean', help: 'Of a message: why the rules that send it do not, or that it waits' },
    json: { type: 'boolean', help: 'As JSON' },
    ...clientOptions,
  },
  async run(args, io) {
    const [visitorId, slot] = args.positionals;
    const client = connect(args, io);
    const style = styleOf(io);
    try {
      if (args.options['action'] === true) {
        const asked = { visitor: { visitorId }, action: slot };
        const { rules } = await client.need<{ rules: RuleExplanation[] | null }>(actionQuery, asked, io.signal);
        if (args.options['json'] === true) io.out(JSON.stringify(rules));
        else if (rules === null) io.out(`Nothing is known of ${printable(visitorId!)}: nothing is sent.`);
        else for (const line of rulesOf(rules, style)) io.out(line);
        return 0;
      }
      const variables = { visitor: { visitorId }, slot };
      const { explain } = await client.need<{ explain: Explanation | null }>(query, variables, io.signal);
      if (args.options['json'] === true) io.out(JSON.stringify(explain));
      else if (explain === null) io.out(`Nothing is known of ${printable(visitorId!)}: the fallback shows.`);
      else for (const line of linesOf(explain, style)) io.out(line);
      return 0;
    } finally {
      client.close();
    }
  },
};

function* linesOf({ winner, contentId, rules }: Explanation, style: Style): Generator<string> {
  yield winner === null
    ? `Shows the fallback ${style.bold(contentId)}: no rule shows anything here now.`
    : `Shows ${style.bold(contentId)} by the rule ${style.bold(winner)}.`;
  yield* rulesOf(rules, style);
}

function* rulesOf(rules: readonly RuleExplanation[], style: Style): Generator<string> {
  for (const rule of rules) {
    const mark =
      rule.outcome === 'shown'
        ? style.green('shown')
        : rule.outcome === 'lost' || rule.outcome === 'waits'
          ? style.yellow(rule.outcome.padEnd(5))
          : style.dim('out  ');
    yield '';
    yield `${mark}  ${style.bold(rule.ruleId)}  ${style.dim(printable(rule.name))}  → ${rule.contentId}`;
    for (const reason of rule.reasons) yield `       ${printable(reason)}`;
    if (rule.decidedAt !== null)
      yield style.dim(`       decided ${rule.decidedAt}${rule.expiresAt === null ? '' : `, ends ${rule.expiresAt}`}`);
    for (const { name, value } of rule.facts) yield style.dim(`       ${name} = ${printable(JSON.stringify(value))}`);
  }
}
