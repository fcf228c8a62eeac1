import { optIn, optOut } from "./consent.ts";
import { correctTrackingNumber } from "./correctTrackingNumber.ts";
import { markBook } from "./markBook.ts";
import { markNotificationsRead } from "./markNotificationsRead.ts";
import { requestPhoneVerification, verifyPhone } from "./phoneVerification.ts";
import { refreshBook } from "./refreshBook.ts";
import { revokeTrackingLink } from "./revokeTrackingLink.ts";
import { setContact } from "./setContact.ts";
import { setNotificationPreferences } from "./setNotificationPreferences.ts";
import { shareBook } from "./shareBook.ts";
import { stopTracking } from "./stopTracking.ts";
import { trackBook } from "./trackBook.ts";

/** Every field of Mutation: what people may change, each by one function of the database. */
export const mutations: readonly GraphileConfig.Plugin[] = [
  trackBook,
  stopTracking,
  correctTrackingNumber,
  refreshBook,
  markBook,
  markNotificationsRead,
  setContact,
  setNotificationPreferences,
  requestPhoneVerification,
  verifyPhone,
  optIn,
  optOut,
  shareBook,
  revokeTrackingLink,
];
