import { z } from "zod";
import { looseList, looseObject, looseText } from "./looseSchema.ts";

const address = looseObject({
  city: looseText,
  stateOrProvinceCode: looseText,
  countryCode: looseText,
});

const scanEvent = z.object({
  date: looseText,
  eventType: looseText,
  eventDescription: looseText,
  derivedStatusCode: looseText,
  derivedStatus: looseText,
  exceptionCode: looseText,
  exceptionDescription: looseText,
  delayDetail: looseObject({ type: looseText, subType: looseText, status: looseText }),
  scanLocation: address,
});

const trackResult = z.object({
  trackingNumberInfo: looseObject({ trackingNumber: looseText }),
  error: looseObject({ code: looseText }),
  latestStatusDetail: looseObject({
    code: looseText,
    derivedCode: looseText,
    statusByLocale: looseText,
    description: looseText,
    scanLocation: address,
    ancillaryDetails: looseList(looseObject({ action: looseText, actionDescription: looseText })),
  }),
  returnDetail: looseObject({
    authorizationName: looseText,
    reasonDetail: looseList(looseObject({ type: looseText, description: looseText })),
  }),
  dateAndTimes: looseList(z.object({ type: looseText, dateTime: looseText })),
  estimatedDeliveryTimeWindow: looseObject({
    window: looseObject({ begins: looseText, ends: looseText }),
  }),
  deliveryDetails: looseObject({ receivedByName: looseText, signedByName: looseText }),
  scanEvents: looseList(scanEvent),
});

/** FedEx's answer to numbers, as far as we read it. Empty texts stand for nothing in it, so `||` reads them. */
export const fedexReply = z.object({
  output: z.object({
    completeTrackResults: looseList(
      z.object({ trackingNumber: looseText, trackResults: looseList(trackResult) }),
    ),
    // One for all numbers. Documented as a list and shown there as a text.
    alerts: z.union([looseText, looseList(looseObject({ code: looseText }))]),
  }),
});

export type FedexReply = z.output<typeof fedexReply>;
export type FedexResult = z.output<typeof trackResult>;
export type FedexScan = z.output<typeof scanEvent>;
