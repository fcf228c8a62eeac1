import pg from "pg";
import { vi } from "vitest";

/** What a connection of node-postgres writes with; its types leave this out. */
interface Wire {
  readonly parsedStatements?: Readonly<Record<string, string>>;
  query(text: string): void;
  parse(statement: { readonly name?: string; readonly text: string }): void;
  bind(use: { readonly statement?: string }): void;
}

/**
 * The statements that this process sends to Postgres while `work` runs, each
 * time it sends them. Heard where connections write: a pool's client may be
 * wrapped when it connects, and then a spy on its class hears nothing.
 */
export async function statementsOf(work: () => Promise<unknown>): Promise<string[]> {
  const sent: string[] = [];
  const parsed = new Map<string, string>();
  const wire = pg.Connection.prototype as unknown as Wire;
  const { query, parse, bind } = wire;
  const spies = [
    vi.spyOn(wire, "query").mockImplementation(function (this: Wire, text) {
      sent.push(text);
      return query.call(this, text);
    }),
    vi.spyOn(wire, "parse").mockImplementation(function (this: Wire, statement) {
      parsed.set(statement.name ?? "", statement.text);
      return parse.call(this, statement);
    }),
    // A prepared statement is parsed once and bound at each use.
    vi.spyOn(wire, "bind").mockImplementation(function (this: Wire, use) {
      const name = use.statement ?? "";
      sent.push(this.parsedStatements?.[name] ?? parsed.get(name) ?? name);
      return bind.call(this, use);
    }),
  ];
  try {
    await work();
    return sent;
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
