import { describe, expect, test } from "vitest";
import { replayText } from "../helpers/replay-text.ts";

const THREAD = "flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD";

describe("calls that overlap take effect in the order that their results show", () => {
  test("new numbers", () => {
    const { diverged, assumed } = replayText(`
7 clone(child_stack=0x7f00, ${THREAD}) = 8
7 eventfd2(0, 0 <unfinished ...>
8 eventfd2(0, 0 <unfinished ...>
7 <... eventfd2 resumed>) = 4
8 <... eventfd2 resumed>) = 3
`);
    expect({ diverged, assumed }).toEqual({ diverged: 0, assumed: 0 });
  });

  test("both numbers of a pipe come from closes that are under way", () => {
    const { diverged, assumed } = replayText(`
7 eventfd2(0, 0) = 3
7 eventfd2(0, 0) = 4
7 clone(child_stack=0x7f00, ${THREAD}) = 8
7 clone(child_stack=0x7f00, ${THREAD}) = 9
7 clone(child_stack=0x7f00, ${THREAD}) = 10
9 eventfd2(0, 0 <unfinished ...>
8 pipe2( <unfinished ...>
7 close(3 <unfinished ...>
10 close(4 <unfinished ...>
8 <... pipe2 resumed>[3, 4], 0) = 0
8 eventfd2(0, 0) = 5
9 <... eventfd2 resumed>) = 6
7 <... close resumed>) = 0
10 <... close resumed>) = 0
`);
    expect({ diverged, assumed }).toEqual({ diverged: 0, assumed: 0 });
  });

  test("a close that is under way, and a number that shows it is still taken", () => {
    const { diverged, assumed } = replayText(`
7 eventfd2(0, 0) = 3
7 clone(child_stack=0x7f00, ${THREAD}) = 8
7 close(3 <unfinished ...>
8 eventfd2(0, 0) = 4
7 <... close resumed>) = 0
8 eventfd2(0, 0) = 3
`);
    expect({ diverged, assumed }).toEqual({ diverged: 0, assumed: 0 });
  });

  test("a write that a wait does not see yet", () => {
    const { diverged } = replayText(`
7 epoll_create1(0) = 3
7 eventfd2(0, EFD_NONBLOCK) = 4
7 epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN, data={u32=4, u64=4}}) = 0
7 clone(child_stack=0x7f00, ${THREAD}) = 8
8 write(4, "\\1\\0\\0\\0\\0\\0\\0\\0", 8 <unfinished ...>
7 epoll_wait(3, [], 8, 0) = 0
7 read(4, 0x7f00, 8) = -1 EAGAIN
8 <... write resumed>) = 8
7 read(4, "\\1\\0\\0\\0\\0\\0\\0\\0", 8) = 8
`);
    expect(diverged).toBe(0);
  });

  test("a time-out that comes before a write under way", () => {
    const { diverged } = replayText(`
7 1000.000001 epoll_create1(0) = 3
7 1000.000002 eventfd2(0, EFD_NONBLOCK) = 4
7 1000.000003 epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN, data={u32=4, u64=4}}) = 0
7 1000.000004 clone(child_stack=0x7f00, ${THREAD}) = 8
7 1000.000005 epoll_wait(3,  <unfinished ...>
8 1000.009000 write(4, "\\1\\0\\0\\0\\0\\0\\0\\0", 8 <unfinished ...>
7 1000.010100 <... epoll_wait resumed>[], 8, 10) = 0
8 1000.010200 <... write resumed>) = 8
`);
    expect(diverged).toBe(0);
  });
});

describe("a ready list", () => {
  const SET_UP = `
7 epoll_create1(0) = 3
7 eventfd2(0, EFD_NONBLOCK) = 4
7 eventfd2(0, EFD_NONBLOCK) = 5
7 epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN, data={u32=4, u64=4}}) = 0
7 epoll_ctl(3, EPOLL_CTL_ADD, 5, {events=EPOLLIN, data={u32=5, u64=5}}) = 0
7 clone(child_stack=0x7f00, ${THREAD}) = 8
`;
  const REVERSED = `7 epoll_wait(3, [{events=EPOLLIN, data={u32=5, u64=5}}, {events=EPOLLIN, data={u32=4, u64=4}}], 8, -1) = 2
`;

  test("may be in either order when the writes overlap", () => {
    const { diverged } = replayText(`${SET_UP}
7 write(4, "\\1\\0\\0\\0\\0\\0\\0\\0", 8 <unfinished ...>
8 write(5, "\\1\\0\\0\\0\\0\\0\\0\\0", 8) = 8
7 <... write resumed>) = 8
${REVERSED}`);
    expect(diverged).toBe(0);
  });

  test("is in the order of writes that do not, and goes on as recorded after a mistake", () => {
    const { divergences } = replayText(`${SET_UP}
7 write(4, "\\1\\0\\0\\0\\0\\0\\0\\0", 8) = 8
8 write(5, "\\1\\0\\0\\0\\0\\0\\0\\0", 8) = 8
${REVERSED}${REVERSED}`);
    expect(divergences.map(({ call, field }) => `${call} ${field}`)).toEqual(["epoll_wait events"]);
  });
});

describe("a wait that overlaps with what would have made an event", () => {
  const SET_UP = `
7 epoll_create1(0) = 3
7 eventfd2(1, EFD_NONBLOCK) = 4
7 clone(child_stack=0x7f00, ${THREAD}) = 8
`;

  test("comes before a registration that it does not report", () => {
    const { diverged, assumed } = replayText(`${SET_UP}
8 epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLET, data={u32=4, u64=4}} <unfinished ...>
7 epoll_wait(3, [], 8, 0) = 0
8 <... epoll_ctl resumed>) = 0
7 epoll_wait(3, [{events=EPOLLIN, data={u32=4, u64=4}}], 8, 0) = 1
`);
    expect({ diverged, assumed }).toEqual({ diverged: 0, assumed: 0 });
  });

  test("that was under way already does not report it either", () => {
    const { diverged } = replayText(`${SET_UP}
7 eventfd2(1, EFD_NONBLOCK) = 5
8 epoll_ctl(3, EPOLL_CTL_ADD, 5, {events=EPOLLIN|EPOLLET, data={u32=5, u64=5}} <unfinished ...>
7 epoll_wait(3,  <unfinished ...>
8 <... epoll_ctl resumed>) = 0
8 epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLET, data={u32=4, u64=4}} <unfinished ...>
7 <... epoll_wait resumed>[{events=EPOLLIN, data={u32=5, u64=5}}], 8, 0) = 1
8 <... epoll_ctl resumed>) = 0
7 epoll_wait(3, [{events=EPOLLIN, data={u32=4, u64=4}}], 8, 0) = 1
`);
    expect(diverged).toBe(0);
  });

  test("a listener is reported by the wait behind the connect", () => {
    const { diverged, assumed } = replayText(`
7 epoll_create1(0) = 3
7 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 4
7 bind(4, {sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
7 listen(4, 8) = 0
7 epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLET, data={u32=4, u64=4}}) = 0
7 clone(child_stack=0x7f00, ${THREAD}) = 8
8 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 5
8 connect(5, {sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr("127.0.0.1")}, 16 <unfinished ...>
7 epoll_wait(3, [], 8, 0) = 0
8 <... connect resumed>) = 0
7 epoll_wait(3, [{events=EPOLLIN, data={u32=4, u64=4}}], 8, 0) = 1
`);
    expect({ diverged, assumed }).toEqual({ diverged: 0, assumed: 0 });
  });

  test("reports what another thread's read takes afterwards", () => {
    const { diverged, assumed } = replayText(`
7 epoll_create1(0) = 3
7 pipe2([4, 5], 0) = 0
7 epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLET, data={u32=4, u64=4}}) = 0
7 clone(child_stack=0x7f00, ${THREAD}) = 8
8 read(4,  <unfinished ...>
7 write(5, "x", 1) = 1
7 epoll_wait(3, [{events=EPOLLIN, data={u32=4, u64=4}}], 8, 0) = 1
8 <... read resumed>"x", 8) = 1
`);
    expect({ diverged, assumed }).toEqual({ diverged: 0, assumed: 0 });
  });
});

describe("an eventfd that several write to while it is read", () => {
  const count = (n: number): string => `"\\${n.toString(8)}\\0\\0\\0\\0\\0\\0\\0"`;
  const racing = (first: number, second: number): string => `
1 eventfd2(0, 0) = 3
1 clone(child_stack=NULL, flags=CLONE_FILES|CLONE_THREAD|CLONE_SIGHAND|CLONE_VM) = 2
1 clone(child_stack=NULL, flags=CLONE_FILES|CLONE_THREAD|CLONE_SIGHAND|CLONE_VM) = 3
1 clone(child_stack=NULL, flags=CLONE_FILES|CLONE_THREAD|CLONE_SIGHAND|CLONE_VM) = 4
2 write(3, ${count(1)}, 8 <unfinished ...>
3 write(3, ${count(3)}, 8 <unfinished ...>
4 write(3, ${count(5)}, 8 <unfinished ...>
1 read(3,  <unfinished ...>
2 <... write resumed>) = 8
3 <... write resumed>) = 8
1 <... read resumed>${count(first)}, 8) = 8
4 <... write resumed>) = 8
1 read(3, ${count(second)}, 8) = 8
`;

  test("the sums tell which writes came first", () => {
    for (const [first, second] of [
      [1, 8],
      [3, 6],
      [4, 5],
      [5, 4],
      [6, 3],
      [8, 1],
    ] as const) {
      expect(replayText(racing(first, second)).diverged).toBe(0);
    }
  });

  test("a sum that no selection makes up, and one that counts a write twice, are contradicted", () => {
    expect(replayText(racing(2, 7)).diverged).toBeGreaterThan(0);
    expect(replayText(racing(4, 6)).divergences.map(({ call }) => call)).toEqual(["read"]);
  });
});

const FORK = "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD, child_tidptr=0x7f00)";

describe("writes into a pipe that overlap", () => {
  const racing = (first: string, second: string): string => `
1 pipe2([3, 4], 0) = 0
1 ${FORK} = 2
1 ${FORK} = 3
2 write(4, "aa", 2 <unfinished ...>
3 write(4, "bb", 2 <unfinished ...>
2 <... write resumed>) = 2
3 <... write resumed>) = 2
1 read(3, "${first}", 2) = 2
1 read(3, "${second}", 2) = 2
`;

  test("went in as they are read", () => {
    expect(replayText(racing("aa", "bb")).diverged).toBe(0);
    expect(replayText(racing("bb", "aa")).diverged).toBe(0);
    expect(replayText(racing("bb", "bb")).divergences.map(({ call }) => call)).toEqual(["read"]);
  });

  test("a read that got less came before the other one", () => {
    const { diverged } = replayText(`
1 pipe2([3, 4], 0) = 0
1 ${FORK} = 2
1 ${FORK} = 3
2 write(4, "aa", 2 <unfinished ...>
3 write(4, "bb", 2 <unfinished ...>
1 read(3,  <unfinished ...>
2 <... write resumed>) = 2
1 <... read resumed>"aa", 100) = 2
3 <... write resumed>) = 2
1 read(3, "bb", 100) = 2
`);
    expect(diverged).toBe(0);
  });

  test.each(["tee(3, 6, 100, 0)", "splice(3, NULL, 6, NULL, 100, 0)"])(
    "%s that got less came before the other one",
    (call) => {
      const looking = (seen: number): string => `
1 pipe2([3, 4], 0) = 0
1 pipe2([5, 6], 0) = 0
1 ${FORK} = 2
1 ${FORK} = 3
2 write(4, "aa", 2) = 2
3 write(4, "bb", 2 <unfinished ...>
1 ${call} = ${seen}
3 <... write resumed>) = 2
`;
      expect(replayText(looking(2)).diverged).toBe(0);
      expect(replayText(looking(4)).diverged).toBe(0);
      expect(replayText(looking(3)).divergences.map(({ call: name }) => name)).toEqual([call.replace(/\(.*/, "")]);
    },
  );
});

describe("a write into a pipe and the end of its last reader", () => {
  const SET_UP = `
1 pipe2([3, 4], 0) = 0
1 ${FORK} = 2
1 close(3) = 0
`;
  const CLOSES = ["close(3", ") = 0"] as const;
  const EXITS = ["exit_group(0", ") = ?"] as const;
  const writeFirst = (result: string, [call, end]: readonly [string, string]): string => `${SET_UP}
1 write(4, "abc", 3 <unfinished ...>
2 ${call}${end}
1 <... write resumed>) = ${result}
2 +++ exited with 0 +++
`;
  const endFirst = (result: string, [call, end]: readonly [string, string]): string => `${SET_UP}
2 ${call} <unfinished ...>
1 write(4, "abc", 3) = ${result}
2 <... ${call.replace(/\(.*/, "")} resumed>${end}
2 +++ exited with 0 +++
`;

  test.each([CLOSES, EXITS])("%s: overlapping, either comes first", (...end) => {
    for (const racing of [writeFirst, endFirst]) {
      expect(replayText(racing("3", end)).diverged).toBe(0);
      expect(replayText(racing("-1 EPIPE (Broken pipe)", end)).diverged).toBe(0);
      expect(replayText(racing("2", end)).divergences.map(({ call }) => call)).toEqual(["write"]);
    }
  });

  test("behind it, a write fails", () => {
    expect(replayText(`${SET_UP}2 close(3) = 0\n1 write(4, "abc", 3) = 3\n`).diverged).toBe(1);
  });

  test("what is read from another pipe by the same number tells nothing", () => {
    const { diverged } = replayText(`${SET_UP}
1 write(4, "abc", 3 <unfinished ...>
2 close(3 <unfinished ...>
1 <... write resumed>) = 3
2 <... close resumed>) = 0
2 pipe2([3, 5], 0) = 0
2 write(5, "xy", 2) = 2
2 read(3, "xy", 9) = 2
`);
    expect(diverged).toBe(0);
  });
});

describe("an AF_UNIX name and a message to it that overlap", () => {
  const address = '{sa_family=AF_UNIX, sun_path="dir/s"}, 110';
  const SET_UP = `
1 ${FORK} = 2
1 socket(AF_UNIX, SOCK_DGRAM, 0) = 3
2 socket(AF_UNIX, SOCK_DGRAM, 0) = 3
`;
  const BOUND = `${SET_UP}1 bind(3, ${address}) = 0\n`;
  const CLOSED = `${BOUND}1 close(3) = 0\n`;
  /** The call and the message, either entered first. */
  const racing = (start: string, call: string, result: string): readonly string[] => {
    const name = call.replace(/\(.*/, "");
    return [
      `${start}1 ${call} <unfinished ...>\n2 sendto(3, "a", 1, 0, ${address}) = ${result}\n1 <... ${name} resumed>) = 0\n`,
      `${start}2 sendto(3, "a", 1, 0,  <unfinished ...>\n1 ${call}) = 0\n2 <... sendto resumed>${address}) = ${result}\n`,
      `${start}2 sendto(3, "a", 1, 0, ${address} <unfinished ...>\n1 ${call} <unfinished ...>
2 <... sendto resumed>) = ${result}\n1 <... ${name} resumed>) = 0\n`,
    ];
  };
  const NOT_THERE = "-1 ENOENT (No such file or directory)";
  const REFUSED = "-1 ECONNREFUSED (Connection refused)";

  test.each([
    ["bind", SET_UP, `bind(3, ${address}`, [NOT_THERE, "1"], REFUSED],
    ["unlink", BOUND, 'unlink("dir/s"', [NOT_THERE, "1"], REFUSED],
    ["unlink of a name that nobody has", CLOSED, 'unlink("dir/s"', [NOT_THERE, REFUSED], "1"],
    ["close", BOUND, "close(3", [REFUSED, "1"], NOT_THERE],
  ])("%s", (_name, start, call, possible, impossible) => {
    for (const result of possible) {
      for (const text of racing(start, call, result)) expect([text, replayText(text).diverged]).toEqual([text, 0]);
    }
    for (const text of racing(start, call, impossible)) {
      expect(replayText(text).divergences.map((found) => found.call)).toEqual(["sendto"]);
    }
  });

  test("a close under way comes behind a message from a socket that is made meanwhile", () => {
    const { diverged } = replayText(`${BOUND}
1 close(3 <unfinished ...>
2 close(3) = 0
2 socket(AF_UNIX, SOCK_DGRAM, 0) = 3
2 sendto(3, "a", 1, 0, ${address}) = 1
1 <... close resumed>) = 0
`);
    expect(diverged).toBe(0);
  });
});

describe("a wait for any child", () => {
  const waits = (found: number): string => `
1 ${FORK} = 2
1 ${FORK} = 3
3 exit_group(0) = ?
3 +++ exited with 0 +++
1 wait4(-1,  <unfinished ...>
2 exit_group(0) = ?
2 +++ exited with 0 +++
1 <... wait4 resumed>NULL, WNOHANG, NULL) = ${found}
1 wait4(-1, NULL, WNOHANG, NULL) = ${5 - found}
`;

  test("finds the oldest that has ended by then", () => {
    expect(replayText(waits(2)).diverged).toBe(0);
    expect(replayText(waits(3)).diverged).toBe(0);
  });

  test("finds no younger one when the older one had ended before", () => {
    const { divergences } = replayText(`
1 ${FORK} = 2
1 ${FORK} = 3
2 +++ exited with 0 +++
3 +++ exited with 0 +++
1 wait4(-1, NULL, WNOHANG, NULL) = 3
`);
    expect(divergences.map(({ call }) => call)).toEqual(["wait4"]);
  });
});

test.each(["-1 ECONNREFUSED (Connection refused)", "1"])(
  "a close and a message that overlap: the sender got %s",
  (got) => {
    const name = '{sa_family=AF_UNIX, sun_path="d"}';
    const { diverged } = replayText(`
1 socket(AF_UNIX, SOCK_DGRAM, 0) = 3
1 bind(3, ${name}, 4) = 0
1 ${FORK} = 2
2 socket(AF_UNIX, SOCK_DGRAM, 0) = 4
2 close(3) = 0
1 close(3 <unfinished ...>
2 sendto(4, "x", 1, 0, ${name}, 4 <unfinished ...>
2 <... sendto resumed>) = ${got}
1 <... close resumed>) = 0
`);
    expect(diverged).toBe(0);
  },
);
