import { describe, expect, test } from "vitest";
import { replayText } from "../helpers/replay-text.ts";

const SERVER = '{sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr("127.0.0.1")}';

/** A client whose server is not in the recording. */
const CLIENT = `
7 epoll_create1(0) = 3
7 socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 4
7 connect(4, ${SERVER}, 16) = -1 EINPROGRESS
7 epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLOUT, data={u32=4, u64=4}}) = 0
7 epoll_wait(3, [{events=EPOLLOUT, data={u32=4, u64=4}}], 8, -1) = 1
7 getsockopt(4, SOL_SOCKET, SO_ERROR, [0], [4]) = 0
7 epoll_ctl(3, EPOLL_CTL_MOD, 4, {events=EPOLLIN|EPOLLET, data={u32=4, u64=4}}) = 0
7 sendto(4, "ping", 4, MSG_NOSIGNAL, NULL, 0) = 4
7 epoll_wait(3, [], 8, 0) = 0
7 epoll_wait(3, [{events=EPOLLIN, data={u32=4, u64=4}}], 8, -1) = 1
7 read(4, "po", 2) = 2
7 read(4, "ng", 8) = 2
7 read(4, 0x7f00, 8) = -1 EAGAIN
7 epoll_wait(3, [], 8, 0) = 0
`;

describe("a server outside", () => {
  test("listens, answers, and everything else is predicted", () => {
    const { diverged, assumed, agreed, unsupported } = replayText(CLIENT);
    expect({ diverged, assumed, agreed, unsupported }).toEqual({ diverged: 0, assumed: 3, agreed: 11, unsupported: 0 });
  });

  test("an event without an arrival is contradicted by the read that finds nothing", () => {
    const { divergences } = replayText(`${CLIENT}
7 epoll_wait(3, [{events=EPOLLIN, data={u32=4, u64=4}}], 8, 0) = 1
7 read(4, 0x7f00, 8) = -1 EAGAIN
`);
    expect(divergences.map(({ call }) => call)).toEqual(["read"]);
  });

  test("nothing is readable twice", () => {
    const { divergences } = replayText(
      CLIENT.replace('7 read(4, "ng", 8) = 2', '7 read(4, "ng", 8) = 2\n7 read(4, "", 8) = 0'),
    );
    expect(divergences[0]?.call).toBe("read");
  });

  test("stops reading and goes on", () => {
    const { diverged } = replayText(`${CLIENT}
7 epoll_ctl(3, EPOLL_CTL_MOD, 4, {events=EPOLLOUT|EPOLLET, data={u32=4, u64=4}}) = 0
7 epoll_wait(3, [{events=EPOLLOUT, data={u32=4, u64=4}}], 8, 0) = 1
7 sendto(4, "ping"..., 9000, MSG_NOSIGNAL, NULL, 0) = 5000
7 sendto(4, "ing", 3, MSG_NOSIGNAL, NULL, 0) = -1 EAGAIN
7 epoll_wait(3, [], 8, 0) = 0
7 epoll_wait(3, [{events=EPOLLOUT, data={u32=4, u64=4}}], 8, -1) = 1
7 sendto(4, "ing", 3, MSG_NOSIGNAL, NULL, 0) = 3
`);
    expect(diverged).toBe(0);
  });

  test("that is not there refuses, and that is predicted", () => {
    const { agreed, assumed, diverged } = replayText(`
7 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3
7 connect(3, ${SERVER}, 16) = -1 ECONNREFUSED
`);
    expect({ agreed, assumed, diverged }).toEqual({ agreed: 2, assumed: 0, diverged: 0 });
  });
});

describe("a client outside", () => {
  const LISTEN = `
7 epoll_create1(0) = 3
7 socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 4
7 bind(4, ${SERVER}, 16) = 0
7 listen(4, 16) = 0
7 epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN, data={u32=4, u64=4}}) = 0
7 epoll_wait(3, [], 8, 0) = 0
`;

  test("connects, sends and leaves", () => {
    const { diverged, unsupported } = replayText(`${LISTEN}
7 epoll_wait(3, [{events=EPOLLIN, data={u32=4, u64=4}}], 8, -1) = 1
7 accept4(4, {sa_family=AF_INET, sin_port=htons(45678), sin_addr=inet_addr("127.0.0.1")}, [16], SOCK_NONBLOCK) = 5
7 accept4(4, 0x7f00, [16], SOCK_NONBLOCK) = -1 EAGAIN
7 epoll_ctl(3, EPOLL_CTL_ADD, 5, {events=EPOLLIN|EPOLLRDHUP, data={u32=5, u64=5}}) = 0
7 epoll_wait(3, [{events=EPOLLIN, data={u32=5, u64=5}}], 8, -1) = 1
7 recvfrom(5, "GET", 100, 0, NULL, NULL) = 3
7 epoll_wait(3, [{events=EPOLLIN|EPOLLRDHUP, data={u32=5, u64=5}}], 8, -1) = 1
7 recvfrom(5, "", 100, 0, NULL, NULL) = 0
7 getpeername(5, {sa_family=AF_INET, sin_port=htons(45678), sin_addr=inet_addr("127.0.0.1")}, [16]) = 0
7 close(5) = 0
`);
    expect({ diverged, unsupported }).toEqual({ diverged: 0, unsupported: 0 });
  });

  test("is not supposed where nobody was accepted", () => {
    const { divergences } = replayText(`${LISTEN}
7 epoll_wait(3, [{events=EPOLLIN, data={u32=4, u64=4}}], 8, 0) = 1
7 accept4(4, NULL, NULL, SOCK_NONBLOCK) = -1 EAGAIN
`);
    expect(divergences.map(({ call }) => call)).toEqual(["epoll_wait"]);
  });
});

test("sendfile from a disk arrives at the other end", () => {
  const { diverged, divergences } = replayText(`
7 socketpair(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK, 0, [3, 4]) = 0
7 openat(AT_FDCWD, "/srv/a.txt", O_RDONLY) = 5</srv/a.txt>
7 sendfile(3, 5</srv/a.txt>, NULL, 4096) = 100
7 read(4, "abc"..., 4096) = 100
7 read(4, 0x7f00, 4096) = -1 EAGAIN
`);
  expect({ diverged, divergences }).toEqual({ diverged: 0, divergences: [] });
});

test("sendfile from a disk takes the room of the pages, not of a copy", () => {
  const { diverged, divergences } = replayText(`
7 socketpair(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK, 0, [3, 4]) = 0
7 openat(AT_FDCWD, "/srv/a.txt", O_RDONLY) = 5</srv/a.txt>
7 sendfile(3, 5</srv/a.txt>, [100] => [262144], 524288) = 262044
7 ioctl(4, FIONREAD, [262044]) = 0
7 sendfile(3, 5</srv/a.txt>, [262144], 262144) = -1 EAGAIN
7 ioctl(3, TIOCOUTQ, [265116]) = 0
`);
  expect({ diverged, divergences }).toEqual({ diverged: 0, divergences: [] });
});

test("splice from a disk takes a slot of the pipe for each page", () => {
  const { diverged, divergences } = replayText(`
7 pipe2([3, 4], O_NONBLOCK) = 0
7 openat(AT_FDCWD, "/srv/a.txt", O_RDONLY) = 5</srv/a.txt>
7 splice(5</srv/a.txt>, [100] => [65536], 4, NULL, 1048576, SPLICE_F_NONBLOCK) = 65436
7 write(4, "x", 1) = -1 EAGAIN
7 splice(5</srv/a.txt>, [65536], 4, NULL, 1048576, SPLICE_F_NONBLOCK) = -1 EAGAIN
`);
  expect({ diverged, divergences }).toEqual({ diverged: 0, divergences: [] });
});

test("a registration through a ring shows by its events", () => {
  const { diverged, unsupported_calls } = replayText(`
7 epoll_create1(0) = 3<anon_inode:[eventpoll]>
7 eventfd2(0, EFD_NONBLOCK) = 4<anon_inode:[eventfd]>
7 io_uring_setup(4, {flags=0, sq_entries=4, cq_entries=8}) = 5<anon_inode:[io_uring]>
7 io_uring_enter(5<anon_inode:[io_uring]>, 1, 0, 0, NULL, 8) = 1
7 write(4, "\\1\\0\\0\\0\\0\\0\\0\\0", 8) = 8
7 epoll_wait(3, [{events=EPOLLIN, data={u32=4, u64=4}}], 8, -1) = 1
7 read(4, "\\1\\0\\0\\0\\0\\0\\0\\0", 8) = 8
7 epoll_wait(3, [], 8, 0) = 0
`);
  expect(diverged).toBe(0);
  expect(unsupported_calls).toEqual({ io_uring_enter: 1, io_uring_setup: 1 });
});

test("a ring cannot have registered what cannot be polled, nor an epoll with itself", () => {
  const { divergences } = replayText(`
7 epoll_create1(0) = 3
7 io_uring_enter(4, 1, 0, 0, NULL, 8) = 1
7 read(5<TCP:[99]>, "x", 10) = 1
7 epoll_wait(3, [{events=EPOLLIN, data=0x5}], 8, -1) = 1
7 epoll_wait(3, [{events=EPOLLIN, data=0x3}], 8, -1) = 1
`);
  expect(divergences.map(({ call }) => call)).toEqual(["epoll_wait", "epoll_wait"]);
});

test("a send buffer does not fill up with the first bytes", () => {
  const { divergences } = replayText(`${CLIENT}
7 sendto(4, "ping", 4, MSG_NOSIGNAL, NULL, 0) = 3
`);
  expect(divergences.map(({ call }) => call)).toEqual(["sendto"]);
});

test("an epoll that has watched a sysctl file is predicted", () => {
  const { divergences, unsupported } = replayText(`
7 epoll_create1(0) = 3
7 openat(AT_FDCWD, "/proc/sys/net/core/somaxconn", O_RDONLY) = 4</proc/sys/net/core/somaxconn>
7 epoll_ctl(3, EPOLL_CTL_ADD, 4</proc/sys/net/core/somaxconn>, {events=EPOLLIN|EPOLLOUT|EPOLLET, data=0x4}) = 0
7 epoll_wait(3, [{events=EPOLLIN|EPOLLOUT, data=0x4}], 8, -1) = 1
7 epoll_ctl(3, EPOLL_CTL_DEL, 4</proc/sys/net/core/somaxconn>, NULL) = 0
7 epoll_ctl(3, EPOLL_CTL_DEL, 4</proc/sys/net/core/somaxconn>, NULL) = 0
`);
  expect({ calls: divergences.map(({ line }) => line), unsupported }).toEqual({ calls: [7], unsupported: 0 });
});

describe("inotify on a disk", () => {
  const WATCHED = `
7 inotify_init1(IN_NONBLOCK) = 3
7 epoll_create1(0) = 4
7 epoll_ctl(4, EPOLL_CTL_ADD, 3, {events=EPOLLIN, data={u32=3, u64=3}}) = 0
7 inotify_add_watch(3, "/tmp/a", IN_MODIFY|IN_DELETE_SELF) = 1
7 inotify_add_watch(3, "/tmp/none", IN_MODIFY) = -1 ENOENT
7 inotify_add_watch(3, "/tmp/b", IN_MODIFY) = 2
7 inotify_add_watch(3, "/tmp/a", IN_MODIFY|IN_MASK_CREATE) = -1 EEXIST
7 epoll_wait(4, [], 8, 0) = 0
7 epoll_wait(4, [{events=EPOLLIN, data={u32=3, u64=3}}], 8, -1) = 1
7 read(3, "\\1\\0\\0\\0\\2\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\1\\0\\0\\0\\0\\4\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\1\\0\\0\\0\\0\\200\\0\\0"..., 256) = 48
7 inotify_rm_watch(3, 1) = -1 EINVAL
7 inotify_rm_watch(3, 2) = 0
7 epoll_wait(4, [{events=EPOLLIN, data={u32=3, u64=3}}], 8, -1) = 1
7 read(3, "\\2\\0\\0\\0\\0\\200\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0", 256) = 16
7 read(3, 0x7f00, 256) = -1 EAGAIN
7 epoll_wait(4, [], 8, 0) = 0
`;

  test("events are what a read proves; numbers, removals and emptiness are predicted", () => {
    const { diverged, assumed, unsupported, ignored } = replayText(WATCHED);
    expect({ diverged, assumed, unsupported, ignored }).toEqual({
      diverged: 0,
      assumed: 2,
      unsupported: 0,
      ignored: 1,
    });
  });

  test("a removal that nobody reports, and an event that is not there, are contradicted", () => {
    const silent = WATCHED.replace(/read\(3, "\\2.*$/m, "read(3, 0x7f00, 256) = -1 EAGAIN");
    expect(replayText(silent).divergences.map(({ call }) => call)).toContain("read");
    const late = WATCHED.replace("epoll_wait(4, [], 8, 0) = 0\n7 epoll_wait(4, [{", "epoll_wait(4, [{");
    expect(replayText(`${late}7 epoll_wait(4, [{events=EPOLLOUT, data={u32=3, u64=3}}], 8, 0) = 1\n`).diverged).toBe(1);
  });
});

describe("an outside client's port", () => {
  const LISTENING = `
7 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3
7 bind(3, {sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
7 listen(3, 8) = 0
7 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
`;
  const accept = (fd: number): string =>
    `7 accept4(3, {sa_family=AF_INET, sin_port=htons(40001), sin_addr=inet_addr("127.0.0.1")}, [16], SOCK_NONBLOCK) = ${fd}\n`;

  test("may be used again when the program has closed its end", () => {
    const { diverged } = replayText(`${LISTENING}${accept(4)}7 shutdown(4, SHUT_WR) = 0
7 close(4) = 0
${accept(4)}7 accept4(3, NULL, NULL, SOCK_NONBLOCK) = -1 EAGAIN
`);
    expect(diverged).toBe(0);
  });

  test("a reset behind the end of the stream", () => {
    const { diverged } = replayText(`${LISTENING}${accept(4)}7 epoll_create1(0) = 5
7 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLRDHUP, data={u32=4, u64=4}}) = 0
7 write(4, "answer", 6) = 6
7 epoll_wait(5, [{events=EPOLLIN|EPOLLERR|EPOLLHUP|EPOLLRDHUP, data={u32=4, u64=4}}], 8, -1) = 1
7 read(4, "", 100) = 0
`);
    expect(diverged).toBe(0);
  });
});

describe("what a recording tells elsewhere", () => {
  test("a note shows an ephemeral port before getsockname does", () => {
    const { diverged, assumed } = replayText(`
7 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3
7 bind(3, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
7 listen(3<TCP:[127.0.0.1:44031]>, 8) = 0
7 getsockname(3<TCP:[127.0.0.1:44031]>, {sa_family=AF_INET, sin_port=htons(44031), sin_addr=inet_addr("127.0.0.1")}, [128 => 16]) = 0
`);
    expect({ diverged, assumed }).toEqual({ diverged: 0, assumed: 0 });
  });

  test("an event shows what was registered through a ring, and is then held to it", () => {
    const SET_UP = `
7 epoll_create1(0) = 3
7 pipe2([4, 5], O_NONBLOCK) = 0
7 io_uring_setup(256, {flags=0}) = 6
7 io_uring_enter(6, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) = 1
7 epoll_pwait(3, [], 8, 0, NULL, 8) = 0
`;
    const event = `7 epoll_pwait(3, [{events=EPOLLIN, data={u32=4, u64=4}}], 8, 0, NULL, 8) = 1\n`;
    const { diverged, assumed } = replayText(`${SET_UP}7 write(5, "x", 1) = 1\n${event}`);
    expect({ diverged, assumed }).toEqual({ diverged: 0, assumed: 0 });
    expect(replayText(`${SET_UP}${event}`).diverged).toBe(1);
  });
});

describe("what arrives from outside", () => {
  const SERVER = [
    "7 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3",
    '7 bind(3, {sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr("127.0.0.1")}, 16) = 0',
    "7 listen(3, 8) = 0",
  ];
  const accept = '7 accept(3, {sa_family=AF_INET, sin_port=htons(40000), sin_addr=inet_addr("127.0.0.1")}, [16]) = 4';
  const diverged = (...lines: readonly string[]): number =>
    replayText(`${[...SERVER, ...lines].join("\n")}\n`).diverged;

  test("ends with a read that had room for more, and the end of the stream may be behind it", () => {
    const [first, second] = ['7 read(4, "one", 64) = 3', '7 read(4, "two", 64) = 3'];
    expect(diverged(accept, first, '7 write(4, "x", 1) = 1', second, '7 read(4, "", 64) = 0')).toBe(0);
    expect(diverged(accept, '7 read(4, "o", 1) = 1', '7 read(4, "ne", 64) = 2')).toBe(0);
  });

  test("shows a client at once where data is waited for before (TCP_DEFER_ACCEPT)", () => {
    const defer = "7 setsockopt(3, SOL_TCP, TCP_DEFER_ACCEPT, [30], 4) = 0";
    expect(diverged(defer, accept, '7 read(4, "one", 64) = 3')).toBe(0);
  });

  test("may be a client that nobody accepts", () => {
    const lines = [
      "7 epoll_create1(0) = 4",
      "7 epoll_ctl(4, EPOLL_CTL_ADD, 3, {events=EPOLLIN, data={u32=3, u64=3}}) = 0",
      "7 epoll_wait(4, [{events=EPOLLIN, data={u32=3, u64=3}}], 8, -1) = 1",
    ];
    expect(diverged(...lines, "7 close(3) = 0")).toBe(0);
    expect(diverged("7 shutdown(3, SHUT_RD) = 0", ...lines)).toBe(1);
  });
});

test("a number that a failing open has for a while is passed over by another thread", () => {
  const lines = (entry: string, fd: number): string =>
    [
      "1 clone(child_stack=0x7f0000, flags=CLONE_VM|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD) = 2",
      entry,
      '2 openat(AT_FDCWD, "/etc/hosts", O_RDONLY <unfinished ...>',
      "1 <... openat resumed>) = -1 ENOENT (No such file or directory)",
      `2 <... openat resumed>) = ${fd}</etc/hosts>`,
      "1 eventfd2(0, 0) = 3",
      `2 read(${fd}, "x", 1) = 1`,
    ].join("\n");
  const missing = '1 openat(AT_FDCWD, "/none", O_RDONLY <unfinished ...>';
  expect(replayText(lines(missing, 4))).toMatchObject({ diverged: 0, assumed: 0 });
  expect(replayText(lines(missing, 5)).diverged + replayText(lines(missing, 5)).assumed).toBeGreaterThan(0);
});
