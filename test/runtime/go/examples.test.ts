/** The Go programs of examples/go that no recording exists of, and the Go servers of the other examples, as the command line runs them. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, test } from "vitest";
import { expectSameTwice } from "../../helpers/built.ts";

const examples = fileURLToPath(new URL("../../../examples", import.meta.url));

const runs: readonly { readonly name: string; readonly args: readonly string[]; readonly shows: RegExp }[] = [
  {
    name: "go/proxy.ts",
    args: ["--waves", "4", "--clients", "13"],
    shows:
      /leak: a connection taken by forgetful\(\) is away for 3\.\d s\nanswers 156, .*closed_idle [1-9].*forgotten 1, leaks_reported 1/,
  },
  { name: "go/chat.ts", args: ["--talkers", "5"], shows: /3000 lines heard, 2 slow readers dropped/ },
  {
    name: "go/httpbasic.ts",
    args: ["--gomaxprocs", "4", "--go", "newest"],
    shows: /total 200300 serve: http: Server closed/,
  },
  {
    name: "million-echo",
    args: ["--variant", "goroutines", "--connections", "300", "--expire"],
    shows: /variant goroutines, connections 300, round_trips 600, bytes_checked 9600, idle_timers 300, idle_closed 300/,
  },
  { name: "three-ways", args: ["--variant", "goroutines", "--clients", "20"], shows: /\ngoroutines +3 / },
];

describe.each(runs)("$name", ({ name, args, shows }) => {
  test("ends well, and a seed repeats it to the byte", async () => {
    await expectSameTwice(["run", join(examples, name), ...args, "--seed", "5"], shows);
  });
});
