import type { IncomingHttpHeaders } from 'node:http';
import DataLoader from 'dataloader';
import { UsherError } from '../errors.ts';
import type { Viewer } from '../fold/present.ts';
import type { SlotsRead } from '../state/stateStore.ts';
import { deviceOf } from './device.ts';
import type { Outcome, Sender } from './intake.ts';
import type { Services } from './services.ts';
import type { Identity } from './tokens.ts';
import type { VisitorRef } from './visitorRef.ts';

/** What a resolver knows of its request. One a request; on a WebSocket one an operation. */
export class RequestContext {
  readonly services: Services;
  readonly userAgent: string | undefined;
  readonly #privacyControl: boolean;
  readonly receivedAt: number;
  readonly transport: 'http' | 'sse' | 'ws';
  /** Whose slots to answer beside an outcome, and to whom. */
  readonly tracked = new Map<Outcome, { readonly visitor: VisitorRef | null; readonly viewer: Viewer }>();
  /** What the caller must know though the answer is whole: errors of the response that belong to no field. */
  readonly besides: UsherError[] = [];
  readonly #identity: Identity | UsherError | null;
  #loader: DataLoader<string, SlotsRead> | null = null;

  constructor(options: {
    readonly services: Services;
    /** An error: a token came that is none; it is told by the first resolver that needs to know who asks. */
    readonly identity: Identity | UsherError | null;
    /** What the request, or that of its socket, says of the browser. */
    readonly headers: IncomingHttpHeaders;
    readonly receivedAt: number;
    readonly transport: 'http' | 'sse' | 'ws';
  }) {
    this.services = options.services;
    this.userAgent = options.headers['user-agent'];
    this.#privacyControl = options.headers['sec-gpc'] === '1';
    this.receivedAt = options.receivedAt;
    this.transport = options.transport;
    this.#identity = options.identity;
  }

  /** Once each, however many fields it concerns. */
  readonly tellBeside = (error: UsherError): void => {
    if (!this.besides.some(({ code }) => code === error.code)) this.besides.push(error);
  };

  /** @throws UsherError VISIT_REQUIRED, TOKEN_INVALID, TOKEN_EXPIRED */
  identity(): Identity {
    if (this.#identity === null) {
      const paste = this.services.config.mode === 'development' ? '"Authorization: Bearer dev:alice", or ' : '';
      throw new UsherError(
        'VISIT_REQUIRED',
        `no token came; send the header ${paste}"Authorization: Bearer TOKEN" with a token of mutation startVisit`,
      );
    }
    if (this.#identity instanceof UsherError) throw this.#identity;
    return this.#identity;
  }

  /** When the token of the request ends, ms since the epoch; null: it does not. */
  get expiresAt(): number | null {
    const identity = this.#identity;
    return identity !== null && !(identity instanceof UsherError) && identity.kind === 'visitor'
      ? identity.expiresAt
      : null;
  }

  get closing(): Services['closing'] {
    return this.services.closing;
  }

  /** @throws UsherError as `identity` */
  sender(sentAt: string | null): Sender {
    return {
      identity: this.identity(),
      device: deviceOf(this.userAgent),
      privacyControl: this.#privacyControl,
      receivedAt: this.receivedAt,
      sentAt,
    };
  }

  /** Who looks at slots, from the page's context and the device that asks. */
  viewer(page: TellsPage | null | undefined): Viewer {
    return viewerOf(page, this.userAgent);
  }

  /** Slots by visitor: what several fields of one request ask for is read once. */
  get loader(): DataLoader<string, SlotsRead> {
    const { reads } = this.services;
    this.#loader ??= new DataLoader((visitors) => Promise.all(visitors.map((visitor) => reads.load(visitor))), {
      // What is read together is gathered by `reads`, over all requests.
      batch: false,
    });
    return this.#loader;
  }
}

/** What is asked of a page's context to show slots. */
export interface TellsPage {
  readonly page?: string | null | undefined;
  readonly timeZone?: string | null | undefined;
}

export function viewerOf(page: TellsPage | null | undefined, userAgent: string | undefined): Viewer {
  return { page: page?.page ?? null, device: deviceOf(userAgent) ?? null, timeZone: page?.timeZone ?? null };
}
