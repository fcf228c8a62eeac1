/**
 * APIs that answer for several carriers and so have to be told which one is
 * meant. Pitney Bowes prints labels for USPS and others; its own parcel network
 * ended in 2024.
 */
export const AGGREGATORS: ReadonlySet<string> = new Set([
  "easypost",
  "shippo",
  "aftership",
  "seventeen_track",
  "pitney_bowes",
]);
