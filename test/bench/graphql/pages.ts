/** A document with its variables, as a client sends it. */
export interface Page {
  readonly query: string;
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** What an app's list shows of a parcel. */
const PARCEL = `
  id status statusChangedAt trackingNumber trackingPage
  estimatedFrom estimatedUntil lastLookedAt nextLookAt didLastLookWork
  carrier { name carrierCircuit { state openUntil } }
  trackingEvents(first: 5, orderBy: [SORT_AT_DESC]) {
    nodes { occurredAt localTime status description location countryCode }
  }`;

/** "My books and where they are": twenty, each with its parcel, carrier, circuit, freshness and last five scans. */
export const LIST: Page = {
  query: `query Books {
    books(first: 20) {
      nodes { id title author createdAt currentParcel { ${PARCEL} } }
      pageInfo { hasNextPage }
    }
  }`,
};

/** One book, as it is looked at when a notification is tapped. */
export function oneBook(id: string): Page {
  return {
    query: `query Book($id: UUID!) {
      book(id: $id) { id title author createdAt currentParcel { ${PARCEL} } }
    }`,
    variables: { id },
  };
}
