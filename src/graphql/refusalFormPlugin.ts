import type { Result } from "postgraphile/grafserv";
import { MAX_BODY_BYTES } from "./limits.ts";

/** HTTP status → how grafserv's own refusals are told; its sentence stays where there is none of ours. */
const FORMS: Readonly<Record<number, { readonly code: string; readonly message?: string }>> = {
  400: { code: "BAD_REQUEST" },
  406: {
    code: "NOT_ACCEPTABLE",
    message: "Answers are application/json or application/graphql-response+json.",
  },
  413: { code: "BODY_TOO_BIG", message: `A request has at most ${MAX_BODY_BYTES} bytes.` },
  415: { code: "UNSUPPORTED_MEDIA_TYPE", message: "Send application/json." },
};

interface Told {
  readonly message: string;
  readonly extensions?: { readonly code?: string; readonly statusCode?: number };
}

/** One error as all our refusals tell it. Those of GraphQL have their code already. */
function inOurForm(status: number, error: Told): Told {
  const { statusCode, ...extensions } = error.extensions ?? {};
  const form = FORMS[status];
  if (extensions.code !== undefined || form === undefined) return { ...error, extensions };
  return { message: form.message ?? error.message, extensions: { code: form.code } };
}

function rewrite(result: Result): Result {
  if (result.type !== "buffer" || FORMS[result.statusCode] === undefined) return result;
  // A file of the page for trying queries.
  if (!result.headers["content-type"]?.includes("json")) return result;
  const { errors, ...rest } = JSON.parse(result.buffer.toString());
  const body = { ...rest, errors: errors.map((e: Told) => inOurForm(result.statusCode, e)) };
  const buffer = Buffer.from(JSON.stringify(body));
  const headers = {
    ...result.headers,
    "content-length": String(buffer.length),
    // The rest of the body is not read.
    ...(result.statusCode === 413 && { connection: "close" }),
  };
  return { ...result, headers, buffer };
}

/**
 * What grafserv refuses by itself (a body that is too big or no JSON, a wrong
 * type) is told in the form of our other refusals, with a code. It has no other
 * place to say so: it makes its answer in one go.
 */
export const refusalFormPlugin: GraphileConfig.Plugin = {
  name: "BookpostRefusalFormPlugin",
  version: "0.0.0",
  grafserv: {
    middleware: {
      async processRequest(next) {
        const result = await next();
        return result && rewrite(result);
      },
    },
  },
};
