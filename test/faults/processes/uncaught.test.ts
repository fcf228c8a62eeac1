import { expect, test } from "vitest";
import { until } from "../../helpers/until.ts";
import { heldBy, isFreed } from "../recovery/stage.ts";
import { openScene } from "./scene.ts";

// Errors that nobody catches, and a queue that breaks down: the process must not live on as if nothing were.

const COMMANDS = ["stock", "start"] as const;
const KINDS = [
  { kind: "throw", words: "a mishap was thrown" },
  { kind: "reject", words: "a mishap was rejected" },
] as const;

test.each(COMMANDS.flatMap((command) => KINDS.map((kind) => ({ command, ...kind }))))(
  "$command, $kind: an error that nobody catches is logged once and ends the process with 1, and what it had runs elsewhere",
  { timeout: 120_000 },
  async ({ command, kind, words }) => {
    const scene = await openScene();
    const [worker] = await Promise.all([scene.start({ command, mishap: { kind } }), scene.start()]);
    await scene.move(31);
    const held = await until("it has something under way", async () => {
      const seen = await heldBy(scene.db, worker.pid);
      return seen !== null && seen.lookups.length > 0 && seen;
    });
    worker.kill("SIGWINCH");
    const { code, signal, output } = await worker.ended;
    expect({ code, signal }).toEqual({ code: 1, signal: null });
    // With its kind, which Node's picture of the line that threw does not have.
    expect(output.split(`Error: ${words}`)).toHaveLength(2);
    await until("nothing is held by it any more", () => isFreed(scene.db, held.workerId));
    expect(await scene.finish()).toEqual({});
  },
);

test.each(COMMANDS)(
  "%s: a queue that cannot write down the end of a job ends the process with 1, and its next life does the rest",
  { timeout: 120_000 },
  async (command) => {
    const scene = await openScene();
    const { db } = scene;
    const worker = await scene.start({ command });
    const held = await heldBy(db, worker.pid);
    // No passing trouble: done again, it would fail again.
    await db.pool.query(`
      create function public.refuse() returns trigger language plpgsql as $$
      begin raise exception 'the row stays'; end $$;
      create trigger refuse before delete on graphile_worker._private_jobs
        for each row execute function public.refuse();
    `);
    await scene.move(32);
    const { code, signal, output } = await worker.ended;
    expect({ code, signal }).toEqual({ code: 1, signal: null });
    expect(output).toMatch(/the row stays|ended by itself/);
    await db.pool.query("drop trigger refuse on graphile_worker._private_jobs");
    await scene.start({ command });
    await until(
      "nothing is held by the one before",
      () => isFreed(db, held?.workerId ?? ""),
      60_000,
    );
    expect(await scene.finish()).toEqual({});
  },
);
