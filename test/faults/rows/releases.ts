import { type Area, inFile } from "../claim.ts";

export const releases: Area = {
  area: "Releases",
  faults: [
    {
      fault: "A change to the code breaks a promise",
      must: "A test of that promise goes red. Each is broken on purpose, in a copy of the project, to see it.",
      tests: [
        ...inFile("faults/saboteurs/saboteurs", "red where $name"),
        ...inFile(
          "docs/saboteurs",
          "that has tests is broken on purpose, so that one of them is seen to go red",
        ),
      ],
    },
    {
      fault:
        "Two migrate at once, or one is killed while it migrates, or there is load, or the program goes back a version",
      must: "One migrates and the other waits; a migration is whole or not at all; the former program works on the new schema.",
      tests: [
        ...inFile(
          "ops/migrate",
          "of three that migrate one empty database at once one does it all, and the others wait and find nothing to do",
          "one that is killed in the midst of a file leaves nothing of it, and the next one does it all",
          "a database that another version has migrated is refused, by the name of the file",
        ),
        ...inFile(
          "e2e/cli/database",
          "migrate finds nothing to do on a database that is up to date",
        ),
      ],
      notProven:
        "Load while it migrates, and the former program beside the new schema, are not tested yet.",
    },
    {
      fault: "A worker of another version of the queue",
      must: "The old one ends by itself and the new one goes on.",
      notProven: "Two versions of graphile-worker on one database would prove it.",
    },
    {
      fault: "A backup of yesterday is restored",
      must: "Every parcel is looked up again and becomes what it was; no notification is sent twice.",
      notProven: "A dump, a day of scans and a restore would prove it.",
    },
  ],
};
