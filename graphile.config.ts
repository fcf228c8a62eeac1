import "./src/ops/graphileEnvironment.ts";
import { workerPreset } from "./src/ops/workerPreset.ts";

/** The queue's own command, by either path. It has no use for the API, which is a third of its start and 40 MB. */
const isWorkerAlone = /[\\/](\.bin[\\/]graphile-worker|graphile-worker[\\/]dist[\\/]cli\.js)$/.test(
  process.argv[1] ?? "",
);

/** Read by the stock `graphile-worker` command and by PostGraphile. */
const preset: GraphileConfig.Preset = {
  extends: isWorkerAlone
    ? [workerPreset]
    : [(await import("./src/graphql/preset.ts")).apiPreset, workerPreset],
};

export default preset;
