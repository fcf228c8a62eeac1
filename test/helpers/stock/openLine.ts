import { onTestFinished } from "vitest";
import { type Faultline, startFaultline } from "../../harness/faultline.ts";

/** A line to a database for this test, and the database's address by way of it. */
export interface Line extends Pick<Faultline, "watch" | "down" | "up"> {
  readonly address: string;
  /** The connections there are now stay open at both ends and carry nothing any more; later ones are well. */
  blackhole(): void;
  /** Resets the connections there are now. */
  cut(): void;
}

/** Opens it. */
export async function openLine(databaseUrl: string): Promise<Line> {
  const line = await startFaultline(databaseUrl);
  onTestFinished(() => line.close());
  return {
    address: line.url(databaseUrl),
    watch: line.watch,
    down: line.down,
    up: line.up,
    blackhole: () => line.add({ type: "blackhole" }).remove(),
    cut() {
      for (const connection of line.connections) connection.cut();
    },
  };
}
