import { type Area, inFile } from "../claim.ts";

const RECORD = "db/bookpost_private/functions/record_lookups";
const STATUS = `${RECORD}.status`;

export const parcels: Area = {
  area: "Parcels",
  faults: [
    {
      fault:
        "A parcel is stopped, deleted or moved to another number while it is looked up; or two look it up at once",
      must: "One lookup at a time; the answer to what is gone changes nothing.",
      tests: [
        ...inFile(
          "db/races/acquire",
          "of eight connections that ask for one parcel at once, one gets it, round after round",
        ),
        ...inFile(RECORD, "a late answer changes nothing in any table, and is counted"),
        ...inFile(
          `${RECORD}.changes`,
          "$name while a lookup flies: its parcel is closed and its lease is free after a sweep",
          "a corrected number is looked at next, and learns nothing of the old one",
          "of two lookups that overlap, the first having lost its lease, only the second lands",
        ),
        ...inFile(
          "db/bookpost/functions/stop_tracking",
          "a lookup in flight is fenced off by the stop",
        ),
        ...inFile(
          "tracking/recordSafely",
          "a book deleted while its parcel's answer is recorded does not spoil the answer",
        ),
        ...inFile(
          "db/races/tracking",
          "whoever tracks a number while its last owner stops gets a parcel that lives",
          "a refresh waits for a lookup that is being recorded, and then counts from it",
        ),
      ],
    },
    {
      fault: "A history is repeated, out of order, in parts, or shorter than before",
      must: "The same scans make the same status; none is kept twice and none is lost.",
      tests: [
        ...inFile(
          "db/bookpost_private/functions/fold_status",
          "of scans with instants, however split, repeated, shuffled and forgotten, only the set counts",
          "of a history that grows, the longest answer decides, whichever order its answers are recorded in",
        ),
        ...inFile(STATUS, "a history that the carrier has forgotten does not undo it"),
        ...inFile(
          "e2e/fiveLessons",
          "what the carrier said stays: scans it has forgotten are still told",
        ),
      ],
    },
    {
      fault: "A delivered parcel moves on or comes back; a stage is reached twice",
      must: "The status follows the newest scan; a stage reached again is told again, by email and text message once in half an hour.",
      tests: [
        ...inFile(STATUS, "delivered"),
        ...inFile(
          `${RECORD}.notifications`,
          "the same stage reached again later is told again, under a new version",
        ),
        ...inFile(
          "db/bookpost_private/functions/queue_deliveries.consent",
          "a stage that was told, left and reached again before anything newer went out is not told again",
        ),
      ],
    },
    {
      fault: "A carrier uses a number again, and answers with the former parcel's delivery",
      must: "Scans from two weeks before it was sent, or tracked where nobody said when, are set aside visibly: they change no status and tell nobody, and the first scan of the new life counts at once. A person who tracks an old parcel on purpose says when it was sent.",
      tests: [
        ...inFile(
          "db/bookpost/functions/track_book",
          "the number of a closed parcel begins a new parcel, and the old one keeps its story",
        ),
        ...inFile(
          "carriers/fedex",
          "of a used number whose other result is an error, the parcel is read",
        ),
        ...inFile(
          `${RECORD}.earlier_life`,
          "a number's earlier delivery delivers nothing, tells nobody and ends no tracking",
          "it is listed for a person, with what is set aside, until the new life begins",
          "an old parcel is taken in on purpose: the day it was sent is all that has to be said",
        ),
      ],
    },
    {
      fault: "A number stays unknown for days after its label was bought",
      must: "It is looked for ever more seldom, the circuit stays closed, and after 30 days a person is told.",
      tests: [
        ...inFile(
          `${RECORD}.unknown_number`,
          "a number unknown for 40 days is pending, asked for ever more seldom, no carrier's fault, and listed after 30",
        ),
        ...inFile(
          `${RECORD}.next_look`,
          "an unknown number is looked for again by the policy of pending, ever more seldom",
        ),
        ...inFile(
          "db/bookpost_private/functions/report_to_circuit",
          "an unknown number is a success: the carrier is well",
        ),
        ...inFile(
          "db/bookpost_ops/views/needs_person",
          "a number unknown for 30 days is listed, and goes on being looked up",
        ),
      ],
    },
    {
      fault:
        "A time has no zone, falls into a gap or a repetition of summer time, is a date only, or is nonsense",
      must: "It is kept as it was written; no instant is made up. A scan more than a day ahead is shown to a person.",
      tests: [
        ...inFile("carriers/carrierTime", "timeFromIso", "timeFromParts"),
        ...inFile(
          STATUS,
          "where the carrier gave a wall clock without a zone, no instant is made up",
        ),
        ...inFile("carriers/canada_post", "the host's own zone has no say"),
        ...inFile(
          "db/properties/times",
          "in %s a wall clock is an instant where Postgres knows exactly one",
          "what is stored depends on no session's time zone",
        ),
        ...inFile(
          "db/bookpost_ops/views/needs_person",
          "a scan more than a day ahead of us is listed, one within a day is not",
        ),
      ],
    },
    {
      fault: "A code that is on no list of ours",
      must: "Its scan is kept with the code, the status stays, and bookpost_ops.unmapped_codes counts it.",
      tests: [
        ...inFile(
          "carriers/contract",
          "an unlisted code keeps its scan, changes no status and is reported",
        ),
        ...inFile(
          "db/bookpost_ops/views/unmapped_codes",
          "each unlisted code of each carrier is one row with its number of scans; listed codes are not there",
        ),
      ],
    },
  ],
};
