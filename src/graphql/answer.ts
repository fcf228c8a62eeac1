import type { ServerResponse } from "node:http";

/** Sends JSON, unless an answer was begun already. */
export function answer(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent) return;
  const bytes = Buffer.from(`${JSON.stringify(body)}\n`);
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": bytes.length,
    ...headers,
  });
  response.end(bytes);
}

/** A refusal in the shape in which GraphQL tells errors, so that clients need to know one only. */
export function refuse(
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
  headers?: Readonly<Record<string, string>>,
): void {
  answer(response, status, { errors: [{ message, extensions: { code } }] }, headers);
}
