import { z } from "zod";

/** The ways to go wrong; told one by one in commitFault.ts. */
export const FAULT_MODES = [
  "status",
  "error_inside_200",
  "html",
  "wrong_shape",
  "broken_json",
  "empty",
  "redirect",
  "slow",
  "hang",
  "trickle",
  "endless",
  "gzip_bomb",
  "truncated",
  "reset",
] as const;

export const faultSchema = z.strictObject({
  mode: z.enum(FAULT_MODES),
  /** Which requests go wrong: those that fit all that is said here. */
  api: z.string().optional(),
  kind: z.enum(["token", "lookup", "register", "message"]).optional(),
  number: z.string().optional(),
  /** For the next so many requests; without it until cleared. */
  times: z.int().min(1).default(Number.MAX_SAFE_INTEGER),
  status: z.int().min(300).max(599).default(503),
  /** With `status`: the API's own code for it, where it has some. */
  code: z.string().optional(),
  /** The header's text, whatever it is. */
  retryAfter: z.string().optional(),
  ms: z.int().min(0).default(200),
});

export type FaultInput = z.input<typeof faultSchema>;
export type Fault = z.output<typeof faultSchema>;

/** The faults in force. The newest that fits a request is the one it meets. */
export function createFaults() {
  let faults: { fault: Fault; left: number }[] = [];
  return {
    add(input: FaultInput): void {
      const fault = faultSchema.parse(input);
      faults.unshift({ fault, left: fault.times });
    },
    clear(): void {
      faults = [];
    },
    take(request: { api: string; kind: string; number: string | null }): Fault | null {
      const met = faults.find(
        ({ fault, left }) =>
          left > 0 &&
          (["api", "kind", "number"] as const).every(
            (key) => fault[key] === undefined || fault[key] === request[key],
          ),
      );
      if (met === undefined) return null;
      met.left -= 1;
      return met.fault;
    },
  };
}
