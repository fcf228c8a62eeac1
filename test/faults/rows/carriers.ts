import { type Area, inFile } from "../claim.ts";

const HOSTILE = "carriers/hostile";
const OAUTH = "carriers/oauth";
const RETRY_AFTER = "carriers/retryAfter";
const TRANSPORT = "carriers/transport";
const RECORD_BUDGET = "db/bookpost_private/functions/record_lookups.budget";

export const carriers: Area = {
  area: "Carriers",
  faults: [
    {
      fault:
        "A carrier's name does not resolve, its port is closed, its certificate is wrong, its connection is never made up",
      must: "One failure, after 5 seconds at most; it is the carrier's, unless it is our own network's. A forged certificate gets nothing from us.",
      tests: [
        ...inFile(
          TRANSPORT,
          "a name that does not resolve is our trouble",
          "a closed port is the carrier's trouble",
          "a server that does not speak TLS is the carrier's trouble",
          "a connection that is never made up ends at the connect deadline",
        ),
        ...inFile(HOSTILE, "to a host with a certificate that nobody vouches for nothing is sent"),
        ...inFile(
          "carriers/sortNetworkError",
          "several addresses: ours only where it is ours for each of them",
        ),
      ],
    },
    {
      fault: "The answer never begins, comes a letter at a time, or never ends",
      must: "The lookup ends 20 seconds after it began, as the carrier's failure, however busy the line was.",
      tests: [
        ...inFile(HOSTILE, "%s: the total deadline ends it, as the carrier's trouble"),
        ...inFile(TRANSPORT, "a %s ends at the total deadline"),
      ],
    },
    {
      fault: "The answer is a gigabyte, or a little gzip that becomes one",
      must: "No more than 2 MB are read, and no more than 2 MB are unpacked; it counts as nonsense.",
      tests: [
        ...inFile(
          HOSTILE,
          "of a gigabyte that is announced no more is taken than the limit and what was in the pipes",
        ),
        ...inFile(TRANSPORT, "the limit of the body is on both sides of the decompression"),
        ...inFile(
          "carriers/readBody",
          "a gigabyte behind a megabyte of gzip is opened up to the limit and no further",
          "a brotli bomb is opened up to the limit and no further",
        ),
      ],
    },
    {
      fault: "The answer redirects, to this machine or a cloud's metadata for example",
      must: "No redirect is ever followed, with credentials or without; a carrier's own host may not lead to a private address.",
      tests: [
        ...inFile(HOSTILE, "a redirect is followed nowhere"),
        ...inFile(TRANSPORT, "a carrier's own host name may not lead to this machine"),
        ...inFile(
          "carriers/publicLookup",
          "%s is private",
          "a name that leads to this machine is refused before anything is sent",
        ),
      ],
    },
    {
      fault:
        "The answer is an error inside a success, a login page, of another type, empty, broken, in a wrong charset, full of NUL",
      must: "It is nonsense and counts against the carrier, or it is read as if it were in order; at most 64 KB are kept, without credentials, and nothing that Postgres cannot take.",
      tests: [
        ...inFile(
          TRANSPORT,
          "the fault %j makes the lookup %s",
          "the bytes %j make the lookup %s",
          "charset, byte order mark and broken bytes do no harm",
        ),
        ...inFile(HOSTILE, "%s is malformed"),
        ...inFile(
          "carriers/fuzz",
          "any text at all ends in a tracking or one of our errors",
          "an answer changed anywhere ends in a sound tracking or one of our errors",
        ),
        ...inFile(
          "carriers/evidence",
          "NUL and half characters never reach the database",
          "at most 64 KB are kept, whole characters only",
          "a credential the carrier echoes is struck out",
        ),
        ...inFile(
          "db/bookpost_private/functions/report_to_circuit",
          "malformed answers open it as well",
        ),
        ...inFile("tracking/recordSafely", "a failure whose text cannot be stored is recorded too"),
        ...inFile(
          "carriers/cleanText",
          "whatever comes in, what comes out is safe, and clean already",
        ),
      ],
    },
    {
      fault: "The answer is XML that grows, or reads files, by its entities",
      must: "A document with a declaration of its own is refused before it is read.",
      tests: inFile(
        "carriers/readXml",
        "a document that reaches beyond itself is refused",
        "nesting is read to 32 levels below the root's, and refused beyond",
      ),
    },
    {
      fault:
        "The carrier asks us to wait: in seconds, until a date, until one that is past or absurd, or in no way that makes sense",
      must: "The whole API waits so long, a second at least and a day at most, its date read by its own clock; what makes no sense is a minute. The circuit stays closed.",
      tests: [
        ...inFile(HOSTILE, "a carrier that asks us to wait"),
        ...inFile(
          RETRY_AFTER,
          "%j seconds wait %d s",
          "until %s wait %d s",
          "%j says nothing",
          "whatever stands there, the wait is between a second and a day, or nothing is said",
        ),
        ...inFile(RECORD_BUDGET, "a carrier that asks us to slow down"),
        ...inFile(
          "e2e/budgets",
          "leave a carrier alone when it says so, however it says it, and lose nothing by it",
        ),
        ...inFile(
          "e2e/fiveLessons",
          "numbers the carrier does not know and its 429s leave the circuit closed",
        ),
      ],
    },
    {
      fault: "The day's allowance is spent",
      must: "The API waits until the carrier's own midnight; nothing counts as a failure.",
      tests: [
        ...inFile(RECORD_BUDGET, "a spent allowance"),
        ...inFile(
          "db/bookpost_private/functions/acquire_lookups.budgets",
          "seconds before the carrier's midnight nobody may, and is told when",
        ),
        ...inFile(
          "e2e/budgets",
          "use a day's calls to the last one and none more, before its reset and after",
        ),
        ...inFile("db/bookpost_ops/views/why", "a parcel that %s"),
      ],
    },
    {
      fault: "The carrier refuses our credentials",
      must: "A token is fetched anew once. Refused again, the API is parked until a worker comes with other credentials; no further request goes out.",
      tests: [
        ...inFile(
          OAUTH,
          "refused with a new token too, the lookup is rejected after one repetition",
          "a carrier without tokens is not asked twice after a refusal",
        ),
        ...inFile(RECORD_BUDGET, "refused credentials"),
        ...inFile(
          "e2e/fiveLessons",
          "credentials that are refused park the API at once, without a failure counted and without a second try",
        ),
      ],
    },
    {
      fault: "A token ends, or is withdrawn, while many lookups need one",
      must: "Each process fetches one new token, however many wait for it, and some time before the old one ends. Processes do not share tokens, so none waits for another.",
      tests: inFile(
        OAUTH,
        "fifty lookups at once fetch one token, and one of them reports the call",
        "fifty lookups whose token was withdrawn fetch one new token and are all answered",
        "a token is fetched anew before it ends, and not before nine tenths of its life but once",
        "a token that can't be had is the failure of the one who asked for it; the others were simply not asked about",
      ),
    },
    {
      fault: "A carrier is slow and right, or answers nobody",
      must: "It holds as many requests as it may have under way; the other carriers' parcels go on.",
      tests: [
        ...inFile(
          "e2e/slowCarrier",
          "a carrier that answers nobody holds as many requests as it may, and the others' parcels go on",
        ),
        ...inFile(
          "config/readConfig",
          "each configured carrier has slots of its own, for all parcels of all its calls; none where it is not configured",
        ),
      ],
    },
    {
      fault: "A carrier is down for three days",
      must: "It is asked twenty times, since each failed probe doubles the wait up to four hours; its queue stays empty, and people see how old their news are.",
      tests: [
        ...inFile(
          "db/bookpost_private/functions/report_to_circuit.outage",
          "a carrier that is down for three days is asked twenty times, and its queue never holds more than the probe",
        ),
        ...inFile(
          "db/bookpost/functions/parcels_computed_columns",
          "people see whether the carrier was asked, is asked again, and answered",
        ),
      ],
    },
  ],
};
