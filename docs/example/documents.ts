// Written by write.ts from documents/*.graphql; do not edit.

/** A document by its id; the types are those of its answer and its variables. */
export interface Document<Result, Variables> {
  readonly id: string;
  /** Never there: only for the types. */
  readonly types?: (variables: Variables) => Result;
}

export type ChangeKind = "BOOK" | "NOTIFICATION" | "PARCEL";

export type ParcelOrderBy =
  | "CREATED_AT_ASC"
  | "CREATED_AT_DESC"
  | "OVERDUE_AT_ASC"
  | "PRIMARY_KEY_ASC"
  | "PRIMARY_KEY_DESC"
  | "STATUS_CHANGED_AT_ASC"
  | "STATUS_CHANGED_AT_DESC";

export type ParcelStatus =
  | "AVAILABLE_FOR_PICKUP"
  | "CANCELLED"
  | "DELIVERED"
  | "EXCEPTION"
  | "IN_TRANSIT"
  | "OUT_FOR_DELIVERY"
  | "PENDING"
  | "PRE_TRANSIT"
  | "RETURN_TO_SENDER"
  | "UNKNOWN";

export type ChangedResult = {
  readonly changed: {
    readonly change: {
      readonly kind: ChangeKind;
    } | null;
  } | null;
};

export type ChangedVariables = Record<string, never>;

export const Changed: Document<ChangedResult, ChangedVariables> = {
  id: "738d3fcef2ff2d749b22075f36074851f9c35fb7bac3d8aa390387bdf38d5749",
};

export type ChangesResult = {
  readonly changes: {
    readonly nodes: ReadonlyArray<{
      readonly kind: ChangeKind;
      readonly bookId: string | null;
      readonly notificationId: string | null;
      readonly book: {
        readonly title: string;
      } | null;
      readonly parcel: {
        readonly id: string;
        readonly status: ParcelStatus;
        readonly statusChangedAt: string;
      } | null;
      readonly notification: {
        readonly message: string;
        readonly readAt: string | null;
      } | null;
    }>;
    readonly pageInfo: {
      readonly hasNextPage: boolean;
      readonly endCursor: string | null;
    };
  };
};

export type ChangesVariables = {
  readonly after: string;
};

export const Changes: Document<ChangesResult, ChangesVariables> = {
  id: "03c74604d7412b57906d8f8b6a7cc457f3d6d17159f9d5d2d1e14b4d6f5ac5a6",
};

export type LatestCursorResult = {
  readonly latestCursor: string;
};

export type LatestCursorVariables = Record<string, never>;

export const LatestCursor: Document<LatestCursorResult, LatestCursorVariables> = {
  id: "07694c92509e44479a6d6671b39c071aee8e9c33cc5087f41af72d6713c0f45d",
};

export type MarkReadResult = {
  readonly markNotificationsRead: {
    readonly readCount: number;
    readonly unreadCount: number;
  } | null;
};

export type MarkReadVariables = {
  readonly ids: ReadonlyArray<string>;
};

export const MarkRead: Document<MarkReadResult, MarkReadVariables> = {
  id: "9d4135c8541784475fb4f71cb6f3be54c9410e4f02b42a09c190211ab81bf78f",
};

export type MyBooksResult = {
  readonly currentUser: {
    readonly unreadNotificationCount: number;
  } | null;
  readonly books: {
    readonly nodes: ReadonlyArray<{
      readonly id: string;
      readonly appBookId: string | null;
      readonly title: string;
      readonly currentParcel: {
        readonly status: ParcelStatus;
        readonly statusChangedAt: string;
        readonly estimatedUntil: string | null;
        readonly isEstimateADate: boolean;
        readonly deliveredAt: string | null;
        readonly lastLookedAt: string | null;
        readonly trackingPage: string | null;
        readonly carrier: {
          readonly name: string;
        };
      } | null;
    }>;
    readonly pageInfo: {
      readonly hasNextPage: boolean;
      readonly endCursor: string | null;
    };
  } | null;
};

export type MyBooksVariables = {
  readonly first?: number | null;
  readonly after?: string | null;
};

export const MyBooks: Document<MyBooksResult, MyBooksVariables> = {
  id: "da5d9685cc44f75282fd38ee6074afea246e205052be12db0d9e6ffb3956331f",
};

export type NotificationsResult = {
  readonly notifications: {
    readonly nodes: ReadonlyArray<{
      readonly id: string;
      readonly bookId: string;
      readonly message: string;
      readonly createdAt: string;
      readonly readAt: string | null;
    }>;
  } | null;
};

export type NotificationsVariables = {
  readonly first?: number | null;
};

export const Notifications: Document<NotificationsResult, NotificationsVariables> = {
  id: "80f941c03f31c2a56428dd2538a71c858430eaade8baf473853cbc63eead4ed1",
};

export type ParcelsResult = {
  readonly parcels: {
    readonly nodes: ReadonlyArray<{
      readonly id: string;
      readonly status: ParcelStatus;
      readonly statusChangedAt: string;
      readonly rawText: string | null;
      readonly isOverdue: boolean;
      readonly estimatedUntil: string | null;
      readonly isEstimateADate: boolean;
      readonly trackingPage: string | null;
      readonly parcelBooks: {
        readonly nodes: ReadonlyArray<{
          readonly stoppedAt: string | null;
          readonly book: {
            readonly id: string;
            readonly appBookId: string | null;
            readonly title: string;
            readonly owner: {
              readonly name: string | null;
            } | null;
          } | null;
        }>;
      };
    }>;
    readonly pageInfo: {
      readonly hasNextPage: boolean;
      readonly endCursor: string | null;
    };
  } | null;
};

export type ParcelsVariables = {
  readonly filter: {
    readonly closedAt?: {
      readonly equalTo?: string | null;
      readonly greaterThan?: string | null;
      readonly greaterThanOrEqualTo?: string | null;
      readonly in?: ReadonlyArray<string> | null;
      readonly isNull?: boolean | null;
      readonly lessThan?: string | null;
      readonly lessThanOrEqualTo?: string | null;
    } | null;
    readonly createdAt?: {
      readonly equalTo?: string | null;
      readonly greaterThan?: string | null;
      readonly greaterThanOrEqualTo?: string | null;
      readonly in?: ReadonlyArray<string> | null;
      readonly isNull?: boolean | null;
      readonly lessThan?: string | null;
      readonly lessThanOrEqualTo?: string | null;
    } | null;
    readonly id?: {
      readonly equalTo?: string | null;
      readonly in?: ReadonlyArray<string> | null;
      readonly isNull?: boolean | null;
    } | null;
    readonly overdueAt?: {
      readonly equalTo?: string | null;
      readonly greaterThan?: string | null;
      readonly greaterThanOrEqualTo?: string | null;
      readonly in?: ReadonlyArray<string> | null;
      readonly isNull?: boolean | null;
      readonly lessThan?: string | null;
      readonly lessThanOrEqualTo?: string | null;
    } | null;
    readonly status?: {
      readonly equalTo?: ParcelStatus | null;
      readonly in?: ReadonlyArray<ParcelStatus> | null;
      readonly isNull?: boolean | null;
    } | null;
    readonly statusChangedAt?: {
      readonly equalTo?: string | null;
      readonly greaterThan?: string | null;
      readonly greaterThanOrEqualTo?: string | null;
      readonly in?: ReadonlyArray<string> | null;
      readonly isNull?: boolean | null;
      readonly lessThan?: string | null;
      readonly lessThanOrEqualTo?: string | null;
    } | null;
    readonly trackingNumber?: {
      readonly equalTo?: string | null;
      readonly in?: ReadonlyArray<string> | null;
      readonly isNull?: boolean | null;
    } | null;
  };
  readonly orderBy?: ReadonlyArray<ParcelOrderBy> | null;
  readonly first?: number | null;
  readonly after?: string | null;
};

export const Parcels: Document<ParcelsResult, ParcelsVariables> = {
  id: "7b1cb11610389d7f5993c9b74f97097f4f15dc925cb3b9a5031b8f3eb722e225",
};

export type TrackBookResult = {
  readonly trackBook: {
    readonly book: {
      readonly id: string;
    } | null;
    readonly warning: string | null;
  } | null;
};

export type TrackBookVariables = {
  readonly input: {
    readonly appBookId?: string | null;
    readonly author?: string | null;
    readonly carrier: string;
    readonly declaredCurrency?: string | null;
    readonly declaredValue?: string | null;
    readonly insist?: boolean | null;
    readonly ownerId?: string | null;
    readonly sentOn?: string | null;
    readonly title: string;
    readonly trackingNumber: string;
    readonly trackingUrl?: string | null;
  };
};

export const TrackBook: Document<TrackBookResult, TrackBookVariables> = {
  id: "91b1f16d59270eb251223c3d87b7b850c5ec9eb800695417a3cefee2226931dd",
};
