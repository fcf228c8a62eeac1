import { SafeError } from "postgraphile/grafast";
import type { TrustedDocuments } from "./trustedDocuments.ts";

/** How clients name a document: ours and graphql-over-http's words, then Apollo's extension. */
function idsOf(body: {
  readonly documentId?: unknown;
  readonly id?: unknown;
  readonly extensions?: unknown;
}): readonly string[] {
  const extensions = body.extensions as { persistedQuery?: { sha256Hash?: unknown } } | null;
  const hash = extensions?.persistedQuery?.sha256Hash;
  const ids = [body.documentId, body.id, hash, typeof hash === "string" ? `sha256:${hash}` : null];
  return ids.filter((id) => typeof id === "string");
}

/**
 * With a list of documents only those are answered, by their ids; a text beside
 * the id is not looked at. Grafserv asks this of a body over HTTP and of each
 * operation over WebSocket.
 */
export function trustedDocumentPlugin(documents: TrustedDocuments): GraphileConfig.Plugin {
  return {
    name: "BookpostTrustedDocumentPlugin",
    version: "0.0.0",
    grafserv: {
      middleware: {
        processGraphQLRequestBody(next, { body }) {
          if (documents === null) return next();
          const id = idsOf(body).find((each) => documents.has(each));
          if (id === undefined)
            throw new SafeError("Send the id of a known document as documentId.", {
              code: "UNKNOWN_DOCUMENT",
              statusCode: 400,
            });
          body.query = documents.get(id);
          return next();
        },
      },
    },
  };
}
