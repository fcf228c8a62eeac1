import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type pg from "pg";
import { postgraphile } from "postgraphile";
import { makeGraphQLWSConfig } from "postgraphile/grafserv";
import { grafserv } from "postgraphile/grafserv/node";
import { NoSchemaIntrospectionCustomRule, specifiedRules } from "postgraphile/graphql";
import type { Admission } from "./admission.ts";
import { createApiService } from "./apiService.ts";
import { documentRulePlugin } from "./documentRulePlugin.ts";
import {
  DOCUMENTS_KEPT,
  MAX_BODY_BYTES,
  PLANS_KEPT_PER_DOCUMENT,
  STATEMENT_TIMEOUT_MS,
  TIMEOUT_MS,
} from "./limits.ts";
import { createMaskError, type LogError } from "./maskError.ts";
import { mutationChargePlugin } from "./mutationChargePlugin.ts";
import { apiPreset } from "./preset.ts";
import { refusalFormPlugin } from "./refusalFormPlugin.ts";
import type { ChangeHub } from "./subscriptions/changeHub.ts";
import { pacePlugin } from "./subscriptions/pacePlugin.ts";
import { subscriptionTimeoutPlugin } from "./subscriptions/subscriptionTimeoutPlugin.ts";
import { trustedDocumentPlugin } from "./trustedDocumentPlugin.ts";
import { checkTrustedDocuments, type TrustedDocuments } from "./trustedDocuments.ts";
import { variableDepthPlugin } from "./variableDepthPlugin.ts";
import type { Viewer } from "./viewer.ts";

/** PostGraphile and its HTTP half, without a socket of its own. */
export interface Engine {
  /** Answers a request for `/graphql` as `viewer`; the request is checked already. */
  query(request: IncomingMessage, response: ServerResponse, viewer: Viewer): void;
  /** What graphql-ws needs to answer on WebSockets. */
  readonly socketConfig: ReturnType<typeof makeGraphQLWSConfig>;
  /** Says for whom a WebSocket speaks, by the request that it began with; the token is checked already. */
  setViewer(request: IncomingMessage, viewer: Viewer): void;
  /** Serves the page for trying queries and its files; in development only. */
  page(request: IncomingMessage, response: ServerResponse): void;
  release(): Promise<void>;
}

export interface EngineOptions {
  readonly isDevelopment: boolean;
  readonly documents: TrustedDocuments;
  readonly charge: Admission["charge"];
  /** Where people reach the server from outside, or null. */
  readonly publicUrl: string | null;
  readonly changeHub: ChangeHub;
  readonly log: LogError;
}

/**
 * Reads the database and builds the schema.
 * @throws what Postgres says, or a plain error when the schema cannot be built.
 * @throws UsageError for a trusted document that the schema or the limits refuse.
 */
export async function createEngine(pool: pg.Pool, options: EngineOptions): Promise<Engine> {
  const viewers = new WeakMap<IncomingMessage, Viewer>();
  const rules = options.isDevelopment
    ? specifiedRules
    : [...specifiedRules, NoSchemaIntrospectionCustomRule];
  const engine = postgraphile({
    extends: [apiPreset],
    plugins: [
      variableDepthPlugin,
      trustedDocumentPlugin(options.documents),
      documentRulePlugin(rules),
      mutationChargePlugin(options.charge),
      subscriptionTimeoutPlugin,
      pacePlugin,
      refusalFormPlugin,
    ],
    pgServices: [createApiService(pool)],
    grafast: {
      timeouts: { planning: TIMEOUT_MS.planning, execution: TIMEOUT_MS.execution },
      // Who it is was found out before: an error thrown here would reach the client as it is.
      context: ({ node, ws }) => {
        const request = node?.req ?? (ws?.request as IncomingMessage | undefined);
        const { changeHub, publicUrl } = options;
        return { ...contextOf(request && viewers.get(request)), changeHub, publicUrl };
      },
    },
    grafserv: {
      graphqlPath: "/graphql",
      graphqlOverGET: false,
      graphiql: options.isDevelopment,
      graphiqlPath: "/",
      // Without this, GET /graphql would serve the page even where `graphiql` is off.
      graphiqlOnGraphQLGET: false,
      websockets: false,
      maxRequestLength: MAX_BODY_BYTES,
      allowedRequestContentTypes: ["application/json"],
      maskError: createMaskError(options.log),
    },
  });
  const schema = await engine.getSchema();
  checkTrustedDocuments(schema, rules, options.documents);
  Object.assign(schema.extensions, {
    grafast: {
      ...schema.extensions.grafast,
      operationsCacheMaxLength: DOCUMENTS_KEPT,
      operationOperationPlansCacheMaxLength: PLANS_KEPT_PER_DOCUMENT,
    },
  });
  // Grafserv answers 404 itself to what it does not know, so it does not listen: it is handed its requests.
  const inner = createServer();
  const handler = engine.createServ(grafserv);
  await handler.addTo(inner, false);
  await handler.ready();
  return {
    query(request, response, viewer) {
      viewers.set(request, viewer);
      inner.emit("request", request, response);
    },
    socketConfig: makeGraphQLWSConfig(handler),
    setViewer(request, viewer) {
      viewers.set(request, viewer);
    },
    page(request, response) {
      inner.emit("request", request, response);
    },
    async release() {
      await engine.release();
    },
  };
}

/** What plans see of the viewer, and the settings of each transaction: the role, and whom row-level security reads. */
function contextOf(viewer: Viewer | undefined) {
  if (viewer === undefined) throw new Error("a request came to GraphQL without a viewer");
  return {
    viewer,
    pgSettings: {
      role: viewer.role,
      "bookpost.user_id": viewer.userId ?? "",
      statement_timeout: String(STATEMENT_TIMEOUT_MS[viewer.role]),
      timezone: "UTC",
    },
  };
}
