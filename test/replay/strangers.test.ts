/** Daemons, clients and senders of signals that are not in the recording. */
import { describe, expect, test } from "vitest";
import { replayText } from "../helpers/replay-text.ts";

function counts(...lines: readonly string[]): object {
  const { diverged, assumed } = replayText(`${lines.join("\n")}\n`);
  return { diverged, assumed };
}

describe("AF_UNIX", () => {
  const socket = (type: string, fd: number): string => `7 socket(AF_UNIX, ${type}, 0) = ${fd}`;
  const connect = (path: string): string =>
    `7 connect(3, {sa_family=AF_UNIX, sun_path=${path}}, ${path.startsWith("@") ? 6 : 110}) = 0`;

  test.each(['"/run/dbus/system_bus_socket"', '@"bus"'])("a server behind %s", (path) => {
    const dialogue = [
      socket("SOCK_STREAM|SOCK_NONBLOCK", 3),
      connect(path),
      '7 write(3, "AUTH", 4) = 4',
      "7 read(3, 0x7f00, 64) = -1 EAGAIN (Resource temporarily unavailable)",
      "7 poll([{fd=3, events=POLLIN}], 1, -1) = 1 ([{fd=3, revents=POLLIN}])",
    ];
    expect(counts(...dialogue, '7 read(3, "OK", 64) = 2')).toEqual({ diverged: 0, assumed: 2 });
    const more = "7 read(3, 0x7f00, 64) = -1 EAGAIN (Resource temporarily unavailable)";
    expect(counts(...dialogue, '7 read(3, "OK", 64) = 2', more)).toEqual({ diverged: 0, assumed: 2 });
    expect(counts(...dialogue, more)).toMatchObject({ diverged: 1 });
  });

  const LISTEN = [
    socket("SOCK_STREAM|SOCK_NONBLOCK", 3),
    '7 bind(3, {sa_family=AF_UNIX, sun_path="/run/x"}, 110) = 0',
    "7 listen(3, 8) = 0",
  ];
  const nobody = "7 accept4(3, NULL, NULL, SOCK_NONBLOCK) = -1 EAGAIN (Resource temporarily unavailable)";
  const accept = "7 accept4(3, NULL, NULL, SOCK_NONBLOCK) = 4";

  test("a client, who goes away", () => {
    const lines = [...LISTEN, nobody, accept, '7 read(4, "hi", 64) = 2', '7 read(4, "", 64) = 0'];
    expect(counts(...lines, '7 write(4, "x", 1) = -1 EPIPE (Broken pipe)')).toMatchObject({ diverged: 0 });
    expect(counts(...lines, "7 read(4, 0x7f00, 64) = -1 EAGAIN (x)")).toMatchObject({ diverged: 1 });
  });

  test("who that is, and what descriptors come from there", () => {
    const cred = "7 getsockopt(4, SOL_SOCKET, SO_PEERCRED, {pid=99, uid=0, gid=0}, [12]) = 0";
    const passed =
      '7 recvmsg(4, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="x", iov_len=8}], msg_iovlen=1, ' +
      "msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[5]}], msg_controllen=24, msg_flags=0}, 0) = 1";
    expect(counts(...LISTEN, accept, cred)).toEqual({ diverged: 0, assumed: 2 });
    expect(counts(...LISTEN, accept, passed, "7 eventfd2(0, 0) = 6")).toMatchObject({ diverged: 0 });
  });

  test("a log that takes messages", () => {
    const lines = [socket("SOCK_DGRAM", 3), connect('"/dev/log"'), '7 sendto(3, "<6>x", 4, 0, NULL, 0) = 4'];
    expect(counts(...lines)).toMatchObject({ diverged: 0 });
    const notify = '7 sendto(3, "READY=1", 7, 0, {sa_family=AF_UNIX, sun_path="/run/notify"}, 14) = 7';
    expect(counts(socket("SOCK_DGRAM", 3), notify, notify)).toMatchObject({ diverged: 0 });
  });

  test("messages that arrive at a name", () => {
    const bind = '7 bind(3, {sa_family=AF_UNIX, sun_path="/dev/log"}, 110) = 0';
    const receive = '7 recvfrom(3, "<6>x", 64, MSG_DONTWAIT, NULL, NULL) = 4';
    const nothing = "7 recvfrom(3, 0x7f00, 64, MSG_DONTWAIT, NULL, NULL) = -1 EAGAIN (x)";
    const lines = [socket("SOCK_DGRAM", 3), bind, nothing, receive, receive, nothing];
    expect(counts(...lines)).toEqual({ diverged: 0, assumed: 2 });
  });
});

test("several datagrams at once", () => {
  const message = (port: number): string =>
    `{msg_hdr={msg_name={sa_family=AF_INET, sin_port=htons(${port}), sin_addr=inet_addr("127.0.0.1")}, msg_namelen=28 => 16, ` +
    'msg_iov=[{iov_base="q", iov_len=512}], msg_iovlen=1, msg_controllen=0, msg_flags=0}, msg_len=1}';
  const nothing = "7 recvmmsg(3, 0x7f8958279a40, 8, MSG_DONTWAIT, NULL) = -1 EAGAIN (x)";
  const lines = [
    "7 socket(AF_INET, SOCK_DGRAM, IPPROTO_IP) = 3",
    '7 bind(3, {sa_family=AF_INET, sin_port=htons(5353), sin_addr=inet_addr("127.0.0.1")}, 16) = 0',
    nothing,
    `7 recvmmsg(3, [${message(40000)}, ${message(40001)}], 8, MSG_DONTWAIT, NULL) = 2`,
  ];
  expect(counts(...lines, nothing)).toEqual({ diverged: 0, assumed: 1 });
});

describe("a signal from a stranger", () => {
  const info = (pid: number): string => `{si_signo=SIGTERM, si_code=SI_USER, si_pid=${pid}, si_uid=0}`;
  const block = "7 rt_sigprocmask(SIG_BLOCK, [TERM], [], 8) = 0";

  test("is taken by rt_sigtimedwait, unless it had to be seen", () => {
    const wait = (pid: number): string => `7 rt_sigtimedwait([TERM], ${info(pid)}, NULL, 8) = 15 (SIGTERM)`;
    expect(counts(block, wait(99))).toEqual({ diverged: 0, assumed: 1 });
    expect(counts(block, wait(7))).toEqual({ diverged: 1, assumed: 0 });
  });

  test("is read from a signalfd", () => {
    const shown = (pid: string): string =>
      `"\\17\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0${pid}\\0\\0\\0\\0\\0\\0\\0"..., 128) = 128`;
    const lines = (pid: string): readonly string[] => [
      block,
      "7 signalfd4(-1, [TERM], 8, SFD_NONBLOCK) = 3",
      "7 poll([{fd=3, events=POLLIN}], 1, -1) = 1 ([{fd=3, revents=POLLIN}])",
      `7 read(3, ${shown(pid)}`,
    ];
    expect(counts(...lines("\\143"))).toMatchObject({ diverged: 0 });
    expect(counts(...lines("\\7"))).not.toMatchObject({ diverged: 0 });
  });
});
