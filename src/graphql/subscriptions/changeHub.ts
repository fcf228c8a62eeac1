import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { changesSince, type ToldChange } from "../../sql/changesSince.ts";
import { latestCursor } from "../../sql/latestCursor.ts";
import { CHANGE_HUB } from "../limits.ts";
import type { LogError } from "../maskError.ts";
import type { Viewer } from "../viewer.ts";
import { ChangeQueue } from "./changeQueue.ts";

/** Whom to tell of what. */
export interface Interest {
  /** Taken from the session, never from what a client says. */
  readonly viewer: Viewer;
  /** Null: all. */
  readonly kinds: readonly string[] | null;
}

/** Follows the changes of the database for all subscribers of this process. */
export interface ChangeHub {
  /**
   * Events for one subscriber until she leaves. The first says "read on", once
   * the hub follows: what is committed after she heard it, she will be told.
   */
  subscribe(interest: Interest): ChangeQueue;
  /** Ends all subscriptions and the connection. May be called again. */
  stop(): Promise<void>;
}

/** The topic of operators: all users' changes. */
const EVERYBODY = "everybody";

function topicOf({ role, userId }: Viewer): string | null {
  if (role === "bookpost_operator") return EVERYBODY;
  // A token may have the id in capitals.
  return role === "bookpost_member" && userId !== null ? userId.toLowerCase() : null;
}

/** The SQLSTATE of a cursor that cannot be gone on from. */
const CURSOR_EXPIRED = "BP410";

/**
 * One connection listens for the wake-ups that the database's triggers send and
 * reads what is new by the same cursor as everybody else, so a notification
 * that was lost, forged or sent twice changes nothing: it only makes the hub
 * look. Lost connections are made anew, and it goes on from where it was. While
 * nobody subscribes there is no connection and nothing is read.
 *
 * `pool` is the hub's own, with one connection.
 */
export function createChangeHub(options: { pool: pg.Pool; log: LogError }): ChangeHub {
  const { pool, log } = options;
  const subscribers = new Map<ChangeQueue, Interest>();
  /** User → her subscriptions, so that a change costs no more the more people subscribe. */
  const topics = new Map<string, Set<ChangeQueue>>();
  const stopping = new AbortController();
  let cursor: string | null = null;
  let running: Promise<void> | null = null;
  let stopped: Promise<void> | undefined;
  let wake = () => {};

  /** Hands changes to those whose they are, and to the operators. */
  function tell(changes: readonly ToldChange[]): void {
    for (const change of changes)
      for (const topic of [change.userId, EVERYBODY])
        for (const queue of topics.get(topic) ?? []) {
          const kinds = subscribers.get(queue)?.kinds ?? null;
          if (kinds === null || kinds.includes(change.kind)) queue.push(change);
        }
  }

  async function begin(client: pg.PoolClient): Promise<void> {
    cursor = await latestCursor(client);
    for (const queue of subscribers.keys()) queue.pushReadOn();
  }

  async function readOn(client: pg.PoolClient): Promise<void> {
    let hasMore = true;
    while (hasMore && cursor !== null) {
      try {
        const page = await changesSince(client, cursor, CHANGE_HUB.page);
        tell(page.changes);
        cursor = page.endCursor;
        hasMore = page.hasNextPage;
      } catch (error) {
        if ((error as { code?: string }).code !== CURSOR_EXPIRED) throw error;
        // The database was restored or replaced: nobody can say what they have missed.
        await begin(client);
      }
    }
  }

  /** Follows on one connection until nobody subscribes; throws when that is lost. */
  async function follow(onRead: () => void): Promise<void> {
    const client = await pool.connect();
    let isLost = false;
    const onEnd = () => {
      isLost = true;
      wake();
    };
    const onNotification = () => wake();
    client.on("end", onEnd);
    client.on("notification", onNotification);
    try {
      await client.query("set role bookpost_operator");
      const { rows } = await client.query("select pg_is_in_recovery() as is_standby");
      // A standby takes no LISTEN; there only the looks in between find what is new.
      if (!rows[0].is_standby) await client.query('listen "bookpost:changed"');
      if (cursor === null) await begin(client);
      while (subscribers.size > 0 && !stopping.signal.aborted) {
        // Made before reading: a notification that comes meanwhile is not overheard.
        const woken = Promise.withResolvers<void>();
        wake = woken.resolve;
        await readOn(client);
        onRead();
        const timer = setTimeout(woken.resolve, CHANGE_HUB.pollMs);
        await woken.promise;
        clearTimeout(timer);
        if (isLost) throw new Error("the connection that listens has ended");
        await sleep(CHANGE_HUB.gatherMs);
      }
    } finally {
      wake = () => {};
      client.off("end", onEnd);
      client.off("notification", onNotification);
      // Never put back: it has listened, and is another role.
      client.release(true);
    }
  }

  async function run(): Promise<void> {
    let pauseMs: number = CHANGE_HUB.pauseMs.first;
    let isTold = false;
    while (subscribers.size > 0 && !stopping.signal.aborted) {
      try {
        await follow(() => {
          pauseMs = CHANGE_HUB.pauseMs.first;
          isTold = false;
        });
      } catch (error) {
        const { name, code } = error as { name?: string; code?: string };
        if (!isTold) log(`API: following changes was broken off (${name} ${code ?? ""})`);
        isTold = true;
        // Between half of it and the whole, so that many processes do not come back together.
        await sleep(pauseMs * (0.5 + Math.random() / 2), null, { signal: stopping.signal }).catch(
          () => {},
        );
        pauseMs = Math.min(pauseMs * 2, CHANGE_HUB.pauseMs.most);
      }
    }
    cursor = null;
    running = null;
  }

  async function stop(): Promise<void> {
    stopping.abort();
    for (const queue of subscribers.keys()) queue.end();
    wake();
    await running;
    await pool.end();
  }

  return {
    subscribe(interest) {
      const topic = topicOf(interest.viewer);
      const queue = new ChangeQueue(() => {
        subscribers.delete(queue);
        if (topic !== null) topics.get(topic)?.delete(queue);
        if (topic !== null && topics.get(topic)?.size === 0) topics.delete(topic);
        if (subscribers.size === 0) wake();
      });
      subscribers.set(queue, interest);
      if (topic !== null) topics.set(topic, (topics.get(topic) ?? new Set()).add(queue));
      if (stopping.signal.aborted) queue.end();
      // Where the connection is being made anew that holds as well: it goes on from its cursor.
      else if (cursor !== null) queue.pushReadOn();
      running ??= run();
      return queue;
    },
    stop() {
      stopped ??= stop();
      return stopped;
    },
  };
}
