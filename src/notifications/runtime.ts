import { BookpostError } from "../errors.ts";
import type { Deliverer } from "./deliverer.ts";

const deliverers = new Map<string, Deliverer>();

/**
 * The deliverer of the worker pool that runs a job (`job.locked_by`).
 * @throws BookpostError when the worker was started without our config.
 */
export function delivererOf(workerId: string | null): Deliverer {
  const deliverer = deliverers.get(workerId ?? "");
  if (deliverer) return deliverer;
  throw new BookpostError(
    "NO_RUNTIME",
    "This worker was started without bookpost's plugin. Start it in the project's folder, with its graphile.config.ts.",
  );
}

/** Makes a deliverer known to the tasks of a worker pool; what it returns undoes that. */
export function registerDeliverer(workerId: string, deliverer: Deliverer): () => void {
  deliverers.set(workerId, deliverer);
  return () => deliverers.delete(workerId);
}
