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
  /** Each is at least one statement in a transaction of its own; a mutation two: five books tracked, and read back. */
  rootFields: 5,
  /**
   * Values that the page sizes allow in all, with each row counted as one; a variable counts as the largest page. 100 books
   * with where they are and 60 scans of each, six fields a scan, fit. A text may have 500 characters, and one list may lead
   * back to another with the same rows in it: so an answer of long texts has some 26 MB at most (50,000 times 530
   * bytes). Counted by rows alone one was 86 MB and kept the process busy for 1.4 s (measured).
   */
  values: 50_000,
  /** Errors told of one document. */
  errors: 5,
} as const;

/** Levels of lists and objects in variables. Chosen: a list in a filter has four. */
export const VARIABLE_DEPTH = 8;

/** Documents that are kept parsed and planned. Measured: a hundred pages of four levels take 25 MB. */
export const DOCUMENTS_KEPT = 100;

/** Plans kept of one document: one per combination of its `@include` and null variables. */
export const PLANS_KEPT_PER_DOCUMENT = 10;

/** Bytes of a request's body: the longest document and 40 kB of variables. */
export const MAX_BODY_BYTES = 50_000;

/**
 * Milliseconds. Planning, and a whole request; the latter is looked at between
 * statements only. A page takes 20 ms; these end what hangs.
 */
export const TIMEOUT_MS = { planning: 2_000, execution: 10_000 } as const;

/**
 * Milliseconds that one statement may take, by role, set in each transaction.
 * Chosen: a visitor reads a list of carriers or one parcel by its key; a member
 * has thousands of books at most; an operator counts everybody's (300,000
 * parcels: 280 ms), and stays below the grace of a stop. The settings of a role are not loaded by SET ROLE,
 * so they stand here; migrations/roles.sql bounds the login.
 */
export const STATEMENT_TIMEOUT_MS = {
  bookpost_visitor: 1_000,
  bookpost_member: 3_000,
  bookpost_operator: 4_000,
} as const;

/**
 * Requests in a minute, of one process. One process answers some 27,000 typical
 * pages in a minute (450 in a second, measured on two cores). Chosen, as parts of
 * that: a visitor's address, which may be a whole office's, a fiftieth; a
 * member a twentieth, 20 pages a second; an operator, who is often a back
 * office's program, nearly half. `page`: looks at public tracking pages, and
 * ends of emails, from one address.
 */
export const RATE_PER_MINUTE = {
  visitor: 600,
  member: 1_200,
  operator: 12_000,
  page: 120,
} as const;

/**
 * What each field of a mutation counts beside the request it comes in: it
 * writes, reads back, and may have a carrier asked. Chosen: a dealer can enter 300 books in a minute.
 */
export const MUTATION_POINTS = 3;

/**
 * Bytes of an answer for which it counts as one request more, so that the next
 * ones are refused sooner: `DOCUMENT.values` knows nothing of how long texts
 * are. Chosen: a page of 20 books has 36 kB, and costs nothing more.
 */
export const BYTES_PER_POINT = 100_000;

/**
 * Buckets in which callers are counted, for each kind of caller. Of a thousand
 * visitors in one minute 15 share theirs with another. Measured: a full kind takes 26 MB.
 */
export const RATE_BUCKETS = 65_536;

/** Seconds by which the clocks of who signs and who checks may differ. Chosen: NTP keeps them within one; a container that slept does not. */
export const TOKEN_CLOCK_SKEW_SECONDS = 30;

/**
 * Milliseconds. How long to wait for an identity provider's keys, how long they
 * are good (so long a key that was withdrawn still works), and how soon a token
 * that names another key may make us look again. jose's own figures; the
 * timeout is chosen below its 5 s, because requests wait for it.
 */
export const JWKS = { timeoutMs: 3_000, keptMs: 600_000, cooldownMs: 30_000 } as const;

/** Users of whom the id is remembered by the app's own, and for how many milliseconds. Chosen: some 200 bytes each. */
export const KNOWN_USERS = { most: 10_000, keptMs: 60_000 } as const;

/** Milliseconds for a client to send its request. Chosen: 50 kB over a bad line; Node's own default is five minutes. */
export const RECEIVE_TIMEOUT_MS = 15_000;

/** Milliseconds between looks for clients that are too slow. Node's own default is 30 s, which would double the time above. */
export const RECEIVE_CHECK_MS = 1_000;

/**
 * Milliseconds in which a client must take some of its answer, or say what it
 * wants next; else its socket is closed. Chosen: above the longest request
 * (`TIMEOUT_MS` and one statement, 16 s), in which nothing is sent either way.
 */
export const IDLE_TIMEOUT_MS = 20_000;

/** Milliseconds that requests under way may still take when we stop: the longest statement, and a little. */
export const STOP_GRACE_MS = 5_000;

/** Sockets at once. Chosen; each idle one costs some 10 kB. */
export const MAX_SOCKETS = 2_000;

/** Live WebSockets and what each may do. */
export const WEBSOCKETS = {
  /** In one process. Chosen: half of `MAX_SOCKETS`, so that they never keep requests out. */
  atOnce: 1_000,
  /** Of one user. Chosen: a phone, a tablet, a computer and their open tabs. */
  perUser: 20,
  /** Of one address, while they have not said yet for whom they speak, or are being closed for that. Chosen: a tenth of all; a good client says it in its first message. */
  unnamedPerAddress: 100,
  /** On one socket. Chosen; a page needs one. */
  subscriptions: 10,
  /** Milliseconds for a client to say who it is. graphql-ws's own default. */
  initMs: 3_000,
  /** Milliseconds for a client to answer our good-bye; then it is cut off. Chosen: a slow round trip. ws's own default is 30 s, in which one that does not answer keeps its place. */
  closeMs: 2_000,
  /** Milliseconds between two pings; who has not answered the one by the next is gone. Chosen: below the minute after which common proxies drop what is idle. */
  pingMs: 30_000,
  /** Messages from one socket between two pings. Chosen: ten times what opening all its subscriptions takes. */
  messages: 200,
} as const;

/** How the process follows the changes of the database for its subscribers. */
export const CHANGE_HUB = {
  /** Changes in one statement. Chosen: some 100 kB. */
  page: 500,
  /** Events that wait for one subscriber; beyond, one that says "read on" stands for all of them. Chosen: more is read faster by pages. */
  waiting: 100,
  /** Milliseconds between two looks where no notification came: a link that has fallen silent is found so, and a standby sends none. Chosen. */
  pollMs: 5_000,
  /** Milliseconds from a notification to the look, so that commits in a row share one. Chosen: not felt. */
  gatherMs: 20,
  /** Milliseconds between two attempts to connect, at first and at most; doubled each time. Chosen. */
  pauseMs: { first: 100, most: 5_000 },
} as const;

/** Prepared statements that one connection keeps; the one used longest ago is given up. As many as documents are kept. */
export const STATEMENTS_KEPT = DOCUMENTS_KEPT;

/** Tokens that are not checked again for a while: at some 300 bytes each, 3 MB; at the longest that is kept, 20 MB. */
export const TOKENS_KEPT = 10_000;

/** Characters of an Authorization header that is kept. Chosen: identity providers' tokens have 700 to 1,500. A longer one is checked each time. */
export const LONGEST_TOKEN_KEPT = 2_000;

/** Milliseconds until a token is checked again. Chosen: so soon a key that was taken away counts no more. */
export const TOKENS_KEPT_MS = 60_000;
