/**
 * `doctor --json` as a schema: what `docs/schema/doctor.schema.json` is generated from.
 */
import { z } from "zod";

const count = z.int().min(0);
const text = z.string().nullable();

const finding = z.looseObject({
  id: z.string().regex(/^D-\d{3}$/),
  name: z.string(),
  severity: z.enum(["error", "warning", "note"]),
  message: z.string(),
  evidence: z
    .array(z.looseObject({ line: count, note: z.string() }))
    .min(1)
    .describe("in the order in which it is told"),
  fd: z.int().nullable(),
  task: text,
  count: count.describe("how often"),
  remedy: z.string(),
});

const percentiles = { n: count, p50_ms: z.number(), p99_ms: z.number() };

const loop = z.looseObject({
  task: text,
  epfd: z.int().nullable(),
  waits: count.describe("waits that ended"),
  empty: count.describe("those that reported nothing"),
  events: count,
  useful: count.describe("events after which a call on their descriptor worked, before the task waited again"),
  wakeups: count.describe("sleeps in epoll_wait"),
  service: z
    .looseObject(percentiles)
    .nullable()
    .describe("from the call that made a descriptor ready to its first use"),
  slowest: z.array(z.looseObject({ fd: z.int(), ...percentiles, line: count })),
});

const diagnosis = z
  .looseObject({
    type: z.literal("diagnosis"),
    file: z.string(),
    waits: count,
    doubtful: count.describe("calls that the replay did not foresee; their descriptors are left out"),
    inconclusive: text.describe("why the trace proves little; null when it is long enough"),
    findings: z.array(finding),
    loops: z.array(loop),
  })
  .describe("One object a trace, one line each");

/** The schema's text, with a line feed at its end. */
export function doctorJsonSchema(): string {
  return `${JSON.stringify(z.toJSONSchema(diagnosis, { target: "draft-2020-12" }), null, 2)}\n`;
}
