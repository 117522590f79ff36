/**
 * The tunables that a program can feel, with the values of the reference machine.
 *
 * Counterpart: `/proc/sys`; each name is the sysctl's. Values are integers in the sysctl's own unit.
 */

export class Sysctls {
  readonly values: Map<string, number> = new Map<string, number>([
    ["fs.epoll.max_user_watches", 5_491_511],
    ["fs.inotify.max_queued_events", 16_384],
    ["fs.nr_open", 1_048_576],
    ["fs.pipe-max-size", 1_048_576],
    ["fs.pipe-user-pages-hard", 0],
    ["fs.pipe-user-pages-soft", 16_384],
    ["net.core.rmem_default", 212_992],
    ["net.core.rmem_max", 4_194_304],
    ["net.core.somaxconn", 4096],
    ["net.core.wmem_default", 212_992],
    ["net.core.wmem_max", 4_194_304],
    ["net.ipv4.tcp_retries2", 15],
    ["net.ipv4.tcp_syn_linear_timeouts", 4],
    ["net.ipv4.tcp_syn_retries", 6],
    ["net.ipv4.tcp_synack_retries", 5],
    ["net.mptcp.enabled", 1],
    ["net.unix.max_dgram_qlen", 10],
  ]);

  /** @throws RangeError for a name that the model does not know. */
  get(name: string): number {
    const value = this.values.get(name);
    if (value === undefined) throw new RangeError(`sysctl ${name}: known are ${[...this.values.keys()].join(", ")}`);
    return value;
  }

  /** @throws RangeError for an unknown name or a value that is not a whole number of at least 0. */
  set(name: string, value: number): void {
    this.get(name);
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`sysctl ${name}=${value}: not a whole number`);
    this.values.set(name, value);
  }
}
