import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface OfficialServer {
  readonly url: string;
  /** Paths asked, in order. */
  readonly asked: readonly string[];
  close(): Promise<void>;
}

/**
 * An HTTP server that answers with whole bodies in the official schemas: a
 * UPS token, and for each path that contains a key of `bodies`, its value.
 */
export async function startOfficialServer(
  bodies: Readonly<Record<string, unknown>>,
): Promise<OfficialServer> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    asked.push(path);
    const isToken = path === "/security/v1/oauth/token" && request.method === "POST";
    const token = { token_type: "Bearer", access_token: "a-token", expires_in: "14399" };
    const body = isToken ? token : Object.entries(bodies).find(([key]) => path.includes(key))?.[1];
    response.writeHead(body === undefined ? 404 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(body ?? { title: "Not Found", status: 404 }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
