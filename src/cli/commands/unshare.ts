import { Command } from "commander";
import { UsageError } from "../../errors.ts";
import { revokeTrackingLink } from "../../sql/revokeTrackingLink.ts";
import type { CliContext } from "../context.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function unshareCommand(context: CliContext): Command {
  return new Command("unshare")
    .description("end a public link, at once and for good")
    .argument("<link>", "the link's id, as share told it; not the link itself")
    .action((text: string) => {
      // Only whole ids: the beginning of one must not end another's link. And a token is not repeated here.
      if (!UUID.test(text))
        throw new UsageError(
          "BAD_LINK",
          'A link is named by its whole id, as share told it; npx bookpost sql "select id, book_id, expires_at, revoked_at from bookpost.tracking_links" lists them.',
        );
      return context.withDatabase(async (db) => {
        await revokeTrackingLink(db, text);
        context.print({
          json: { linkId: text, isRevoked: true },
          text: () => "The link works no longer.",
        });
      });
    });
}
