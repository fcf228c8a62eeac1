import { type Area, inFile } from "../claim.ts";

const OUT = "e2e/notifications";

export const notifications: Area = {
  area: "Notifications",
  faults: [
    {
      fault: "A mail server is down for days",
      must: "Few connections are tried, however many messages wait; once it is back everyone is told the present stage once, and older news are dropped.",
      tests: [
        ...inFile(
          OUT,
          "after days without a mail server everyone is told the present stage once, and few connections were tried meanwhile",
        ),
        ...inFile(
          "e2e/texts",
          "texts that the provider does not take for a while arrive once it does",
        ),
        ...inFile(
          "e2e/webhooks",
          "a receiver that is down for a while is told when it is back, under the same id",
        ),
      ],
    },
    {
      fault:
        "The one who sends notifications is slow, or takes one and then breaks off, or the worker dies over it",
      must: "It is sent again. An email or text message that may be there twice says so in bookpost deliveries; a webhook comes under the same id.",
      tests: [
        ...inFile(
          OUT,
          "a mail server that takes its time gets the message once",
          "a mail server that takes a message and breaks off before its answer gets it again, under the same id, and the message says that it may be there twice",
        ),
        ...inFile(
          "e2e/webhooks",
          "a worker that is killed while it sends: the same message comes again, and is one row, sent",
        ),
        ...inFile(
          "e2e/kills",
          "struck at 25 points of the road, a lookup loses nothing, tells nothing twice and leaves nothing stuck",
        ),
      ],
    },
    {
      fault: "A message is refused, for good or for ever",
      must: "It is dead, a person sees it in needs_person and with bookpost deliveries --dead, and can bring it back.",
      tests: inFile(
        OUT,
        "an email that is put off for ever is dead in the end: it is listed for a person, and one by hand brings it back",
        "an email that is refused for good is dead at once, and not tried again",
      ),
    },
    {
      fault: "A person says no while a message waits for her",
      must: "Consent counts as it is when the message goes out: nothing more is sent.",
      tests: [
        ...inFile(OUT, "who unsubscribes by the link while her email waits is sent nothing more"),
        ...inFile("e2e/texts", "who opts out between queue and send is sent nothing"),
      ],
    },
    {
      fault:
        "A carrier's text is hostile: HTML, links, line breaks, signs that turn the writing, a megabyte",
      must: "It comes out as a line of plain text, and no link of it works.",
      tests: inFile(
        OUT,
        "hostile text of a carrier, an app and a person comes out inert by email, text message and webhook",
      ),
    },
    {
      fault: "Thousands of old parcels are tracked at once",
      must: "Their owner is not told of each: what is older than three days is no news.",
      tests: inFile(
        "faults/notifications/oldParcels",
        "two thousand parcels that came home a week ago tell nobody, and one that moves now does",
      ),
    },
  ],
};
