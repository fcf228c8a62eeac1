import type { Task } from "graphile-worker";
import { sendPayload } from "../jobs/sendPayload.ts";
import { runtimeOf } from "../tracking/runtime.ts";
import type { ChannelCode } from "./message.ts";

/** Chosen: another worker, that can send by this channel, takes the job in the meantime. */
const ELSEWHERE_MS = 5_000;

/** The task that sends messages by one channel. Trouble of the other side is an outcome, not a failed job. */
export function sendBy(channel: ChannelCode): Task {
  return async (payload, { job, logger, abortSignal }) => {
    const { deliveryId } = sendPayload.parse(payload);
    const runtime = runtimeOf(job.locked_by);
    const signal = abortSignal ?? new AbortController().signal;
    const end = await runtime.deliverer.deliver(deliveryId, channel, signal);
    if (end.kind === "elsewhere") {
      await runtime.snooze(job, ELSEWHERE_MS);
      return;
    }
    if (end.kind !== "tried") {
      logger.debug(`message ${deliveryId}: ${end.reason}`);
      return;
    }
    const { result, state } = end;
    if (state === null)
      logger.warn(`message ${deliveryId}: its end came too late and changed nothing`);
    else if (result.outcome === "sent") logger.info(`message ${deliveryId}: sent by ${channel}`);
    else logger.warn(`message ${deliveryId}: ${result.outcome}, now ${state}: ${result.error}`);
  };
}
