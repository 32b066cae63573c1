import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";

export interface GatedRequest {
  readonly method: string;
  /** A path, and a query. */
  readonly url: string;
  /** A client's, to be passed on; absent: the gate asks for itself. */
  readonly headers?: IncomingHttpHeaders | undefined;
  /** Whether it goes on with the client's own key. */
  readonly keepsKey?: boolean | undefined;
  readonly body?: Buffer | undefined;
}

export interface GatedAnswer {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer;
}

export type GatedOutcome =
  | ({ readonly kind: "answered" } & GatedAnswer)
  /** Nothing of it has reached Qdrant. */
  | { readonly kind: "not sent"; readonly reason: string }
  /** It may have been done, or may still be. */
  | { readonly kind: "no answer"; readonly reason: string };

/** The Qdrant behind a gate, asked for whole answers. */
export interface GatedQdrant {
  ask(request: GatedRequest): Promise<GatedOutcome>;
}

/** What becomes of a write that a journal tells of. */
export type JournalledReply =
  | Extract<GatedOutcome, { readonly kind: "answered" }>
  /** @property isDoneMaybe whether it may have been done all the same: then nobody is asked to repeat it. */
  | { readonly kind: "refused"; readonly isDoneMaybe: boolean; readonly reason: string };
