import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { replayFile } from "../../src/cli/replay.ts";
import { replayText as replay } from "../helpers/replay-text.ts";

const RECORDING = `
7 1000.000001 epoll_create1(EPOLL_CLOEXEC) = 3<anon_inode:[eventpoll]> <0.000001>
7 1000.000002 pipe2([4<pipe:[9]>, 5<pipe:[9]>], O_NONBLOCK) = 0 <0.000001>
7 1000.000003 epoll_ctl(3<anon_inode:[eventpoll]>, EPOLL_CTL_ADD, 4<pipe:[9]>, {events=EPOLLIN|EPOLLET, data={u32=4, u64=4}}) = 0 <0.000001>
7 1000.000004 write(5<pipe:[9]>, "hello", 5) = 5 <0.000001>
7 1000.000005 epoll_wait(3<anon_inode:[eventpoll]>, [{events=EPOLLIN, data={u32=4, u64=4}}], 8, 0) = 1 <0.000001>
7 1000.000006 read(4<pipe:[9]>, "he", 2) = 2 <0.000001>
7 1000.000007 epoll_wait(3<anon_inode:[eventpoll]>, [], 8, 10) = 0 <0.010100>
7 1000.010200 read(4<pipe:[9]>, "llo", 64) = 3 <0.000001>
7 1000.010201 read(4<pipe:[9]>, 0x7ffd5b2a8c10, 64) = -1 EAGAIN (Resource temporarily unavailable) <0.000001>
7 1000.010202 close(5<pipe:[9]>) = 0 <0.000001>
7 1000.010203 epoll_wait(3<anon_inode:[eventpoll]>, [{events=EPOLLHUP, data={u32=4, u64=4}}], 8, -1) = 1 <0.000001>
7 1000.010204 mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, -1, 0) = 0x7f0000000000 <0.000001>
7 1000.010205 exit_group(0) = ?
7 1000.010206 +++ exited with 0 +++
`;

describe("a recording with every cause inside", () => {
  test("is predicted", () => {
    const { agreed, diverged, assumed, unsupported, ignored } = replay(RECORDING);
    expect({ agreed, diverged, assumed, unsupported, ignored }).toEqual({
      agreed: 11,
      diverged: 0,
      assumed: 0,
      unsupported: 0,
      ignored: 2,
    });
  });

  const alterations: readonly (readonly [string, string, string, number])[] = [
    ["an event is dropped", "[{events=EPOLLIN, data={u32=4, u64=4}}], 8, 0) = 1", "[], 8, 0) = 0", 6],
    ["an event is added", "[], 8, 10) = 0", "[{events=EPOLLIN, data={u32=4, u64=4}}], 8, 10) = 1", 8],
    ["an event has another mask", "{events=EPOLLHUP,", "{events=EPOLLIN|EPOLLHUP,", 12],
    [
      "an event has another datum",
      "[{events=EPOLLHUP, data={u32=4, u64=4}}]",
      "[{events=EPOLLHUP, data={u32=5, u64=5}}]",
      12,
    ],
    ["a read is longer than what was sent", '"llo", 64) = 3', '"llo!", 64) = 4', 9],
    ["a read has other bytes", '"llo", 64) = 3', '"lli", 64) = 3', 9],
    ["EAGAIN becomes data", "0x7ffd5b2a8c10, 64) = -1 EAGAIN (Resource temporarily unavailable)", '"x", 64) = 1', 10],
    ["a time-out comes too early", "8, 10) = 0 <0.010100>", "8, 10) = 0 <0.005000>", 8],
    ["a new descriptor is not the lowest", "EPOLL_CLOEXEC) = 3<", "EPOLL_CLOEXEC) = 2<", 2],
    [
      "a failure of another kind",
      "= -1 EAGAIN (Resource temporarily unavailable)",
      "= -1 EBADF (Bad file descriptor)",
      10,
    ],
  ];

  test.each(alterations)("is contradicted when %s", (_what, from, to, line) => {
    const altered = RECORDING.replace(from, to);
    expect(altered).not.toBe(RECORDING);
    const { divergences } = replay(altered);
    expect(divergences[0]?.line).toBe(line);
  });
});

describe("several tasks", () => {
  test("a sleeping epoll_wait is woken by a write that is recorded in halves", () => {
    const { diverged, agreed } = replay(`
7 epoll_create1(0) = 3<anon_inode:[eventpoll]>
7 eventfd2(0, 0) = 4<anon_inode:[eventfd]>
7 epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN, data={u32=4, u64=4}}) = 0
7 clone(child_stack=0x7f00, flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD) = 8
7 epoll_wait(3,  <unfinished ...>
8 write(4, "\\1\\0\\0\\0\\0\\0\\0\\0", 8 <unfinished ...>
7 <... epoll_wait resumed>[{events=EPOLLIN, data={u32=4, u64=4}}], 8, -1) = 1
8 <... write resumed>) = 8
`);
    expect({ diverged, agreed }).toEqual({ diverged: 0, agreed: 5 });
  });

  test("a process whose end is recorded later closes its pipe in time", () => {
    const { diverged } = replay(`
7 pipe2([3<pipe:[9]>, 4<pipe:[9]>], 0) = 0
7 fork( <unfinished ...>
8 close(3) = 0
7 <... fork resumed>) = 8
7 close(4) = 0
7 read(3,  <unfinished ...>
8 exit_group(0) = ?
7 <... read resumed>"", 16) = 0
8 +++ exited with 0 +++
`);
    expect(diverged).toBe(0);
  });
});

describe("what the model does not know", () => {
  test("is counted by name, and what it touches is not predicted", () => {
    const { unsupported_calls, diverged } = replay(`
7 io_uring_setup(4, {flags=0, sq_entries=4, cq_entries=8}) = 3<anon_inode:[io_uring]>
7 read(3<anon_inode:[io_uring]>, "x", 1) = 1
7 epoll_create1(0) = 4
`);
    expect(unsupported_calls).toEqual({ io_uring_setup: 1, read: 1 });
    expect(diverged).toBe(0);
  });

  test("an inherited descriptor shows by the number that a new one does not get", () => {
    const { agreed, assumed, diverged } = replay(`
7 eventfd2(0, 0) = 3
7 eventfd2(0, 0) = 5
7 eventfd2(0, 0) = 6
7 close(4) = 0
7 eventfd2(0, 0) = 4
`);
    expect({ agreed, assumed, diverged }).toEqual({ agreed: 4, assumed: 1, diverged: 0 });
  });

  const UNUSED: readonly (readonly [string, string, string, readonly number[]])[] = [
    ["the same path", "</etc/a>", "fstat(3</etc/a>, {st_mode=S_IFREG|0644}) = 0\n7 close(3</etc/a>) = 0", [2]],
    ["the same socket", "<TCP:[9]>", "close(3<TCP:[9]>) = 0", [2]],
    ["another socket", "<TCP:[9]>", "close(3<TCP:[8]>) = 0", []],
  ];
  test.each(UNUSED)(
    "a number that is too high shows by what is done with the right one: %s",
    (_, note, next, lines) => {
      const { divergences } =
        replay(`7 ${note.startsWith("</") ? 'open("/etc/a", O_RDONLY)' : "socket(AF_INET, SOCK_STREAM, 0)"} = 4${note}
7 ${next}
`);
      expect(divergences.map(({ line }) => line)).toEqual(lines.map((line) => line - 1));
    },
  );

  test("a number that is too low is wrong also below a directory that nobody knows", () => {
    const { divergences } = replay(`7 openat(AT_FDCWD, "/proc/", O_RDONLY|O_DIRECTORY) = 3</proc>
7 eventfd2(0, 0) = 4
7 openat(3</proc>, "config.gz", O_RDONLY) = 4</proc/config.gz>
`);
    expect(divergences).toMatchObject([{ line: 3, predicted: "5" }]);
  });

  test("an array of poll is not taken for a descriptor", () => {
    const { divergences } = replay("7 poll(NULL, 4294967295, 1) = -1 EBADF (x)\n");
    expect(divergences).toMatchObject([{ predicted: "-1 EINVAL" }]);
  });
});

const corpus = fileURLToPath(new URL("../../../shared/traces/captured", import.meta.url));
const folders = ["epoll-shim", "gvisor-syscalls"].filter((folder) => existsSync(`${corpus}/${folder}`));
const recordings = folders.flatMap((folder) => readdirSync(`${corpus}/${folder}`).map((name) => `${folder}/${name}`));

describe.skipIf(recordings.length === 0)("shared recordings end in a summary", () => {
  test.each(recordings)("%s", async (name) => {
    const { calls, agreed, diverged, assumed, unsupported, ignored } = await replayFile(
      `${corpus}/${name}`,
      "6.18",
      () => false,
    );
    expect(calls).toBe(agreed + diverged + assumed + unsupported + ignored);
    expect(agreed).toBeGreaterThan(0);
  });
});

test("an accept that sleeps has not taken a number that another call was given", () => {
  const { diverged } = replay(`
1 socket(AF_UNIX, SOCK_STREAM, 0) = 3
1 bind(3, {sa_family=AF_UNIX, sun_path="s"}, 3) = 0
1 listen(3, 1) = 0
1 clone(child_stack=NULL, flags=CLONE_FILES|CLONE_THREAD|CLONE_SIGHAND|CLONE_VM) = 2
1 accept(3,  <unfinished ...>
2 socket(AF_UNIX, SOCK_STREAM, 0) = 4
2 connect(4, {sa_family=AF_UNIX, sun_path="s"}, 3) = 0
1 <... accept resumed>NULL, NULL) = 5
2 write(4, "x", 1) = 1
1 read(5, "x", 8) = 1
`);
  expect(diverged).toBe(0);
});

test("a socket has another port behind a disconnect", () => {
  const to = (port: number): string => `{sa_family=AF_INET, sin_port=htons(${port}), sin_addr=inet_addr("127.0.0.1")}`;
  const { diverged } = replay(`
1 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3
1 connect(3, ${to(80)}, 16) = 0
1 getsockname(3, ${to(40001)}, [16]) = 0
1 connect(3, {sa_family=AF_UNSPEC, sa_data="\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0"}, 16) = 0
1 connect(3, ${to(80)}, 16) = 0
1 getsockname(3, ${to(40002)}, [16]) = 0
1 getsockname(3, ${to(40002)}, [16]) = 0
`);
  expect(diverged).toBe(0);
});

test("a directory in which a socket cannot be bound is the disk's affair", () => {
  const { diverged, ignored, agreed } = replay(`
1 socket(AF_UNIX, SOCK_STREAM, 0) = 3
1 bind(3, {sa_family=AF_UNIX, sun_path="/no/such/s"}, 12) = -1 ENOENT (No such file or directory)
1 getsockname(3, {sa_family=AF_UNIX}, [110 => 2]) = 0
`);
  expect({ diverged, ignored, agreed }).toEqual({ diverged: 0, ignored: 1, agreed: 2 });
});
