/**
 * What one request may ask of the API: every number of `src/graphql` is here.
 * "Chosen" means that no measurement forced it; revisit when a real client is refused.
 */

/** Rows of a connection where `first` is not given. Chosen: one screen. */
export const DEFAULT_PAGE_SIZE = 20;

/** The most `first` may be. Chosen: five screens; more is paged with `after`. */
export const MAX_PAGE_SIZE = 100;

/**
 * The size of one document. Fragments that spread each other twice double the
 * work of planning with every fragment: 1.2 kB of them kept a process busy for
 * 7 s and 12 kB for more than 12 minutes, and the planning timeout did not end
 * it. So a document is measured, fragments spread out, before it is planned.
 */
export const DOCUMENT = {
  /** Characters. A page with everything on it has 1,500. */
  length: 10_000,
  /** Words and signs; keeps parsing and validating below 10 ms. */
  tokens: 1_000,
  /** Levels of fields. book → parcels → trackingEvents with edges has 10. */
  depth: 12,
  /** Fields, fragments spread out. */
  fields: 250,
  aliases: 15,
  directives: 20,
  /** Each is at least one statement in a transaction of its own. */
  rootFields: 5,
  /** Rows that the page sizes allow in all; a variable counts as the largest page. 100 books with their parcels' scans, 20 each, fit. */
  rows: 50_000,
  /** Errors told of one document. */
  errors: 5,
} as const;

/** Documents that are kept parsed and planned. Measured: a hundred pages of four levels take 25 MB. */
export const DOCUMENTS_KEPT = 100;

/** Plans kept of one document: one per combination of its `@include` and null variables. */
export const PLANS_KEPT_PER_DOCUMENT = 10;

/** Bytes of a request's body: the longest document and 40 kB of variables. */
export const MAX_BODY_BYTES = 50_000;

/**
 * Milliseconds. One statement, planning, and a whole request; the last is
 * looked at between statements only. A page takes 20 ms; these end what hangs.
 */
export const TIMEOUT_MS = { statement: 3_000, planning: 2_000, execution: 10_000 } as const;

/** Milliseconds for a client to send its request. Chosen: 50 kB over a bad line; Node's own default is five minutes. */
export const RECEIVE_TIMEOUT_MS = 15_000;

/** Milliseconds that requests under way may still take when we stop: the longest statement, and a little. */
export const STOP_GRACE_MS = 5_000;

/** Sockets at once. Chosen; each idle one costs some 10 kB. */
export const MAX_SOCKETS = 2_000;

/** Prepared statements that one connection keeps; the one used longest ago is given up. As many as documents are kept. */
export const STATEMENTS_KEPT = DOCUMENTS_KEPT;

/** Tokens that are not checked again for a while: at some 300 bytes each, 3 MB. */
export const VIEWERS_KEPT = 10_000;

/** Milliseconds until a token is checked again. Chosen: so soon a key that was taken away counts no more. */
export const VIEWERS_KEPT_MS = 60_000;
