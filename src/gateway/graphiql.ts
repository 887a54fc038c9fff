import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

/** A page and its compressed forms, made once: it is 9 MB, because it works without internet. */
export interface PackedPage {
  readonly etag: string;
  readonly plain: Buffer;
  readonly gzip: Buffer;
  readonly br: Buffer;
}

const headers = JSON.stringify({ Authorization: 'Bearer dev:alice' }, null, 2);

/** What a newcomer does, in this order. Each tab runs as it is against the demo store. */
const tabs = [
  `# 1. Say what the visitor does: press the triangle.
#    Ctrl-Space between braces shows what fits there.
mutation TrackAnEvent {
  trackEvent(
    input: {
      event: { productViewed: { productId: "p_017" } }
      context: { page: "product" }
    }
  ) {
    outcome { status error { code message hint } }
    slots {
      name
      source
      content { id data }
      why { sentence }
    }
  }
}`,
  `# 2. Ask what to show. There is always an answer:
#    a rule's content, or the slot's fallback.
query Slots {
  personalizedSlots(context: { page: "product" }) {
    name
    source
    content { id type data }
    why {
      sentence
      facts { name value }
      losers { ruleId reason }
    }
  }
}`,
  `# 3. Leave this running and track an event in tab 1, or
#    in another window: what changes comes at once.
#    The Headers pane below says which visitor.
subscription Changes {
  contentUpdates {
    kind
    cause { eventType rules stages { name ms } }
    slots { name source content { id data } why { sentence } }
  }
}`,
  `# 4. What Usher knows of this visitor.
query Visitor {
  visitor {
    id
    visitor
    session
    cart { id value lines { productId quantity price } }
    counts { folded duplicate late held }
  }
}`,
];

/** GraphiQL slides its tabs to their places when one is pressed, and they slide away under the pointer: the first press of a tab is lost. */
const style = '.graphiql-tabs .graphiql-tab { transform: none !important; }';

/** GraphiQL with ready tabs, compressed in the background. Loaded only when it is asked for: the module alone is 9 MB. */
export async function packGraphiql(): Promise<PackedPage> {
  const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql');
  const html = renderGraphiQL({
    title: 'Usher GraphiQL',
    endpoint: '/graphql',
    defaultTabs: tabs.map((query) => ({ query, headers })),
    headers,
    shouldPersistHeaders: true,
    defaultEditorToolsVisibility: 'headers',
    // Over server-sent events the header pane travels as HTTP headers; its WebSocket client would not send it.
    subscriptionsProtocol: 'SSE',
  });
  const plain = Buffer.from(html.replace('</head>', `<style>${style}</style></head>`));
  const [zipped, br] = await Promise.all([
    promisify(gzip)(plain, { level: 6 }),
    promisify(brotliCompress)(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }),
  ]);
  return { etag: `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`, plain, gzip: zipped, br };
}
