/**
 * What an agent says when it has started: body of the first frame.
 *
 * Counterpart: `agent/protocol.c`, which writes the same `key=value` lines.
 */

/** What an agent says about itself and the kernel below it. */
export interface Greeting {
  readonly protocol: number;
  readonly sysname: string;
  /** As `uname -r` prints it. */
  readonly release: string;
  readonly version: string;
  readonly machine: string;
  /** Effective user id of the agent. */
  readonly uid: number;
  readonly cpus: number;
  /** Private namespaces that scripts run in: some of pid, mount, ipc, net, user; none if they are not permitted. */
  readonly namespaces: readonly string[];
  /** Scripts see a file system that holds only a private directory, /proc, a few devices and /sys. */
  readonly jail: boolean;
  /** `thaw` and the frozen pages work. */
  readonly userfaultfd: boolean;
  /** Machine-wide sysctls (fs.*) can be set for a script. */
  readonly sysctl: boolean;
  /** Scripts can run as another user. */
  readonly setUid: boolean;
  /** The kernel tells which call a task sleeps in; without it the agent relies on the task's state alone. */
  readonly procSyscall: boolean;
  /** The user memory that the agent maps, in the order of `UserLayout` without `bad` and `kernel`. */
  readonly layout: readonly number[];
  /** Calls that the agent executes, with their numbers. */
  readonly calls: ReadonlyMap<string, number>;
}

/** @throws Error if the text is not a greeting. */
export function decodeGreeting(text: string): Greeting {
  const values = new Map<string, string>();
  for (const line of text.split("\n")) {
    const equals = line.indexOf("=");
    if (equals > 0) values.set(line.slice(0, equals), line.slice(equals + 1).trim());
  }
  const get = (key: string): string => {
    const value = values.get(key);
    if (value === undefined) throw new Error(`the agent's greeting does not say ${key}`);
    return value;
  };
  const words = (key: string): string[] => get(key).split(" ").filter(Boolean);
  return {
    protocol: Number(get("protocol")),
    sysname: get("sysname"),
    release: get("release"),
    version: get("version"),
    machine: get("machine"),
    uid: Number(get("uid")),
    cpus: Number(get("cpus")),
    namespaces: words("namespaces"),
    jail: get("jail") === "1",
    userfaultfd: get("userfaultfd") === "1",
    sysctl: get("sysctl") === "1",
    setUid: get("set_uid") === "1",
    procSyscall: get("proc_syscall") === "1",
    layout: words("layout").map(Number),
    calls: new Map(
      words("calls").map((word) => {
        const [name = "", nr = ""] = word.split(":");
        return [name, Number(nr)];
      }),
    ),
  };
}
