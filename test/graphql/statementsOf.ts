import pg from "pg";
import { vi } from "vitest";

/**
 * What goes over the wire to Postgres from this process while `work` runs: texts
 * of statements, and of a prepared one that is used again its name. Heard where
 * each connection writes, since a pool's clients may be wrapped in anything.
 */
export async function statementsOf(work: () => Promise<unknown>): Promise<string[]> {
  const sent: string[] = [];
  // biome-ignore lint/suspicious/noExplicitAny: pg's types leave out what a connection writes.
  const wire = (pg as any).Connection.prototype;
  const spies = (["query", "parse", "bind"] as const).map((method) => {
    const write = wire[method];
    return vi.spyOn(wire, method).mockImplementation(function (this: unknown, ...args: unknown[]) {
      const [first] = args as [string | { text?: string; statement?: string }];
      const told = typeof first === "string" ? first : (first.text ?? first.statement ?? "");
      if (told !== "") sent.push(told);
      return write.apply(this, args);
    });
  });
  try {
    await work();
    return sent;
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
