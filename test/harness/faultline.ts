import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { createByteWatch } from "./byteWatch.ts";
import {
  type LineConnection,
  openConnection,
  type Pipeline,
  type Verdict,
} from "./lineConnection.ts";
import { type Direction, directionsOf, type Toxic } from "./toxics.ts";

export type { Direction, LineConnection, Toxic, Verdict };

/** Which connections are meant; left out: all, those to come included. */
export interface Whose {
  /** The application_name in Postgres's startup packet, such as "bookpost worker". */
  readonly applicationName?: string;
}

export interface WatchFor extends Whose {
  readonly direction: Direction;
  /** What has to go by, in chunks of any size: exact text, or a pattern over bytes read as Latin-1. */
  readonly match: string | RegExp;
  /** How often it is acted upon, over all connections; left out: once. */
  readonly times?: number;
}

/**
 * What to do when it went by. The bytes wait until the promise is kept, so
 * whatever happens in here happens before they go on. One that throws resets
 * the connection, and `happened` rejects.
 */
export type WatchAction = (connection: LineConnection, found: string) => Promise<Verdict>;

export interface Watch {
  /** How often it was acted upon so far. */
  readonly count: number;
  /** Resolves once it was acted upon `times` times. */
  readonly happened: Promise<void>;
  remove(): void;
}

/** A TCP line to a server, on which a test makes things go wrong. */
export interface Faultline {
  readonly port: number;
  /** The same address through this line. */
  url(address: string): string;
  /** The open ones, oldest first. */
  readonly connections: readonly LineConnection[];
  /**
   * Makes something go wrong on the connections there are and those to come,
   * until it is removed. Of a connection that bytes have vanished from, nothing
   * gets through any more, not even later: what is left of its stream makes no sense.
   */
  add(toxic: Toxic, on?: Whose & { readonly direction?: Direction }): { remove(): void };
  /** Takes all toxics and watches away. */
  clear(): void;
  /**
   * Waits for bytes and decides what becomes of them: "cut" and
   * "forward_then_cut" are the two ways to leave a caller in doubt. They must be in one
   * piece to be dropped without harm; of a statement that node-postgres has
   * prepared under a name, the text goes by only the first time.
   */
  watch(what: WatchFor, action: Verdict | WatchAction): Watch;
  /** New connections go elsewhere; those there are stay where they are. */
  repoint(host: string, port: number): void;
  /** Refuses connections and resets those there are, until `up`. */
  down(): Promise<void>;
  /** At the same port. */
  up(): Promise<void>;
  /** Resets all connections and ends the line. May be called again. */
  close(): Promise<void>;
}

/**
 * Opens a line on a free port of 127.0.0.1 to the server of `address`, a URL
 * with a port. It answers TCP's own keep-alives itself, so of a silent line
 * only timeouts of the application can tell.
 */
export async function startFaultline(address: string): Promise<Faultline> {
  const goal = new URL(address);
  let target = { host: goal.hostname, port: Number(goal.port) };
  const connections = new Set<Pipeline>();
  const toxics = new Set<AddedToxic>();
  const watches = new Set<ActiveWatch>();
  let server: Server | null = null;
  let port = 0;

  async function up(): Promise<void> {
    if (server !== null) return;
    server = createServer({ allowHalfOpen: true }, (client) => {
      const connection = openConnection(client, {
        target,
        onName: (named) => attachAll(named, (on) => on.applicationName !== undefined),
        judge: (seen, direction, bytes) => judge(seen, direction, bytes),
      });
      connections.add(connection);
      connection.closed.then(() => connections.delete(connection));
      attachAll(connection, (on) => on.applicationName === undefined);
    });
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    port = (server.address() as AddressInfo).port;
  }

  async function down(): Promise<void> {
    if (server === null) return;
    const listening = server;
    server = null;
    const isDown = once(listening, "close");
    listening.close();
    for (const connection of connections) connection.cut();
    await isDown;
  }

  function attachAll(connection: Pipeline, isMeant: (on: Whose) => boolean): void {
    for (const added of toxics)
      if (isMeant(added.on) && fits(added.on, connection))
        connection.attach(added, added.toxic, added.directions);
  }

  /** Null: nobody waits for these bytes. */
  function judge(
    connection: Pipeline,
    direction: Direction,
    bytes: Buffer,
  ): Promise<Verdict> | null {
    // All look, also those that are not asked: what they look for may go on in the next chunk.
    const found = [...watches].flatMap((watch) => {
      const text = watch.look(connection, direction, bytes);
      return text === null ? [] : [{ watch, text }];
    });
    const [first] = found;
    return first === undefined ? null : first.watch.act(connection, first.text);
  }

  function watch(what: WatchFor, action: Verdict | WatchAction): Watch {
    const active = createWatch(what, action, () => watches.delete(active));
    watches.add(active);
    return active;
  }

  await up();
  return {
    get port() {
      return port;
    },
    url(through) {
      const changed = new URL(through);
      changed.hostname = "127.0.0.1";
      changed.port = String(port);
      return changed.href;
    },
    get connections() {
      return [...connections].filter(({ isOpen }) => isOpen);
    },
    add(toxic, on = {}) {
      const added = { toxic, on, directions: directionsOf(toxic, on.direction) };
      toxics.add(added);
      for (const connection of connections)
        if (fits(on, connection)) connection.attach(added, toxic, added.directions);
      return {
        remove() {
          toxics.delete(added);
          for (const connection of connections) connection.detach(added);
        },
      };
    },
    clear() {
      for (const added of toxics) for (const connection of connections) connection.detach(added);
      toxics.clear();
      watches.clear();
    },
    watch,
    repoint(host, newPort) {
      target = { host, port: newPort };
    },
    down,
    up,
    async close() {
      await down();
      for (const connection of connections) connection.cut();
    },
  };
}

interface AddedToxic {
  readonly toxic: Toxic;
  readonly on: Whose;
  readonly directions: readonly Direction[];
}

interface ActiveWatch extends Watch {
  /** What it found in these bytes; null: nothing, or they are not its business. */
  look(connection: LineConnection, direction: Direction, bytes: Buffer): string | null;
  act(connection: LineConnection, found: string): Promise<Verdict>;
}

function createWatch(
  what: WatchFor,
  action: Verdict | WatchAction,
  remove: () => void,
): ActiveWatch {
  const { times = 1, direction } = what;
  const looks = new WeakMap<LineConnection, (bytes: Buffer) => string | null>();
  const { promise: happened, resolve, reject } = Promise.withResolvers<void>();
  // For a test that does not wait for it.
  happened.catch(() => {});
  let count = 0;
  return {
    get count() {
      return count;
    },
    happened,
    remove,
    look(connection, seen, bytes) {
      if (seen !== direction || !fits(what, connection)) return null;
      const look = looks.get(connection) ?? createByteWatch(what.match);
      looks.set(connection, look);
      return look(bytes);
    },
    async act(connection, found) {
      count += 1;
      const isLast = count >= times;
      // Before the action, which may take long, so that no other connection begins one more.
      if (isLast) remove();
      try {
        return typeof action === "string" ? action : await action(connection, found);
      } catch (error) {
        reject(error);
        return "cut";
      } finally {
        if (isLast) resolve();
      }
    },
  };
}

function fits({ applicationName }: Whose, connection: LineConnection): boolean {
  return applicationName === undefined || connection.applicationName === applicationName;
}
