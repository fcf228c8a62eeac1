import { SignJWT } from "jose";

/** A token with which a user of the app may ask bookpost for 15 minutes. Only the app's server may hold the secret. */
export async function makeToken(appUserId: string, secret: string): Promise<string> {
  return new SignJWT({ role: "bookpost_member" })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(appUserId)
    .setIssuedAt()
    .setExpirationTime("15 minutes")
    .sign(new TextEncoder().encode(secret));
}
