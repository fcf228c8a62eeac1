import type { LookupResult } from "../carriers/carrier.ts";
import type { CarrierClient, LookupOptions } from "../carriers/client.ts";
import type { Permit, Verdict } from "../sql/acquireLookups.ts";

/** One request to a carrier, for all lookups of a batch. */
export interface SharedRequest {
  /** What the carrier said of this lookup's parcel. The first caller sends the request, the others share its answer. */
  resultOf(lookupId: string, options: LookupOptions): Promise<LookupResult>;
}

/**
 * Makes one request for each batch among the verdicts, by batch id. A batch
 * whose API has no client here is missing.
 */
export function shareRequests(
  verdicts: readonly Verdict[],
  clients: ReadonlyMap<string, CarrierClient>,
): ReadonlyMap<string, SharedRequest> {
  const permits = verdicts.filter((verdict) => verdict.verdict === "permit");
  const requests = new Map<string, SharedRequest>();
  for (const [batchId, members] of Map.groupBy(permits, (permit) => permit.batchId)) {
    const client = clients.get(members[0]?.apiCode ?? "");
    if (client) requests.set(batchId, shareRequest(client, members));
  }
  return requests;
}

function shareRequest(client: CarrierClient, members: readonly Permit[]): SharedRequest {
  let answer: Promise<readonly LookupResult[]> | null = null;
  let sender: string | null = null;
  return {
    async resultOf(lookupId, options) {
      // The first one pays for the request. All signals of a worker fire together, so its will do for all.
      sender ??= lookupId;
      answer ??= client.lookUpMany(members, options);
      const place = members.findIndex((member) => member.lookupId === lookupId);
      const results = await answer;
      // Whoever sent it has paid for it and tells of it: the first of the batch may have been taken out meanwhile.
      const calls = lookupId === sender ? results.flatMap((result) => result.calls) : [];
      return { ...(results[place] as LookupResult), calls };
    },
  };
}
