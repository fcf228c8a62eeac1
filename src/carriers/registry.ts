import { aftership } from "./aftership.ts";
import { australia_post } from "./australia_post.ts";
import { canada_post } from "./canada_post.ts";
import type { CarrierAdapter } from "./carrier.ts";
import { dhl } from "./dhl.ts";
import { easypost } from "./easypost.ts";
import { fedex } from "./fedex.ts";
import { la_poste } from "./la_poste.ts";
import { pitney_bowes } from "./pitney_bowes.ts";
import { postnl } from "./postnl.ts";
import { royal_mail } from "./royal_mail.ts";
import { seventeen_track } from "./seventeen_track.ts";
import { shippo } from "./shippo.ts";
import { ups } from "./ups.ts";
import { usps } from "./usps.ts";

/** Every carrier API that can be asked, in the order people see them. One line each. */
export const adapters: readonly CarrierAdapter[] = [
  ups,
  usps,
  fedex,
  dhl,
  royal_mail,
  canada_post,
  la_poste,
  australia_post,
  postnl,
  pitney_bowes,
  easypost,
  shippo,
  aftership,
  seventeen_track,
];

/** The adapter with this code, or null where no API answers to it. */
export function adapterFor(code: string): CarrierAdapter | null {
  return adapters.find((adapter) => adapter.code === code) ?? null;
}
