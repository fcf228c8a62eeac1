import { createClient as createSocket } from "graphql-ws";
import { ApiError } from "./ApiError.ts";
import { Changed, type Document } from "./documents.ts";

export interface Client {
  /**
   * The answer to a document.
   * @throws ApiError when the API refuses; fetch's TypeError when nobody answers.
   */
  ask<Result, Variables>(
    document: Document<Result, Variables>,
    ...[variables]: Record<string, never> extends Variables ? [variables?: Variables] : [Variables]
  ): Promise<Result>;
  /**
   * Calls `onWake` when it listens, whenever something of hers changes, and after each reconnection; ask for
   * Changes then. `onLost` hears what ends the subscription for good. Returns what stops it.
   */
  listen(onWake: () => void, onLost?: (error: unknown) => void): () => void;
}

interface Answer {
  // biome-ignore lint/suspicious/noExplicitAny: the document says what it is.
  readonly data?: any;
  readonly errors?: readonly {
    readonly message: string;
    readonly extensions?: { readonly code?: string; readonly field?: string };
  }[];
}

/** Longer after each attempt that failed, half a minute at most; not all clients at the same moment. */
function pause(retries: number): Promise<void> {
  const ms = Math.min(1_000 * 2 ** retries, 30_000) * (0.5 + Math.random() / 2);
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Asks the API for one user. `url` ends in /graphql; `getToken` is asked before
 * each request and connection, so that it can renew a token in time.
 */
export function createClient(options: {
  readonly url: string;
  readonly getToken: () => string | Promise<string>;
}): Client {
  const { url, getToken } = options;
  const authorization = async () => `Bearer ${await getToken()}`;
  return {
    async ask(document, variables?) {
      const response = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: await authorization() },
        body: JSON.stringify({ documentId: document.id, variables }),
      });
      const { data, errors } = (await response.json().catch(() => ({}))) as Answer;
      const [error] = errors ?? [];
      if (error) throw new ApiError(error.message, error.extensions ?? {});
      if (!data) throw new ApiError("The API did not answer.", { code: `HTTP_${response.status}` });
      return data;
    },
    listen(onWake, onLost) {
      const socket = createSocket({
        url: url.replace(/^http/, "ws"),
        connectionParams: async () => ({ authorization: await authorization() }),
        // Also after a token's end and a restart of the server.
        shouldRetry: () => true,
        retryAttempts: Number.POSITIVE_INFINITY,
        retryWait: pause,
      });
      const extensions = { persistedQuery: { version: 1, sha256Hash: Changed.id } };
      socket.subscribe(
        { query: "", extensions },
        {
          next: ({ errors }) => (errors ? onLost?.(errors) : onWake()),
          error: (error) => onLost?.(error),
          complete: () => {},
        },
      );
      return () => void socket.dispose();
    },
  };
}
