/** A mail as the development inbox shows it. */
export interface LocalMail {
  /** 1, 2, 3 … in the order of arrival. */
  readonly number: number;
  /** Wall clock, ms. */
  readonly receivedAt: number;
  readonly from: string;
  readonly to: readonly string[];
  readonly subject: string;
  readonly text: string;
  /** As it came: not to be trusted. */
  readonly html: string | null;
  /** In their order, decoded. */
  readonly headers: readonly { readonly name: string; readonly value: string }[];
}

/** What the development inbox reads. */
export interface LocalMailbox {
  /** The newest first. */
  list(): readonly LocalMail[];
  /** Calls back after each mail; returns how not to. */
  onMail(listener: () => void): () => void;
}
