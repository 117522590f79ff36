/** Lowering: the steps that a script becomes. */
import { describe, expect, test } from "vitest";
import { UserLayout } from "../../src/syscalls/port.ts";
import { lower } from "../../src/trace/lower.ts";
import { parseScript } from "../../src/trace/script.ts";
import { describeSteps, lowered } from "../helpers/script-runs.ts";

function steps(text: string): string[] {
  return describeSteps(lowered(text).program);
}

describe("arguments", () => {
  test("inputs are poked, outputs filled and read back; the memory of a finished call is used again", () => {
    expect(
      steps(
        "epoll_ctl(3, EPOLL_CTL_ADD, 4, {events=EPOLLIN, data={u32=4, u64=4}}) = 0\nepoll_wait(3, [], 2, 0) = 0\nclose(3) = 0",
      ),
    ).toEqual([
      "poke 200004000 [12]",
      "call 0 epoll_ctl(3, 1, 4, 200004000)",
      "poke 200004000 [24]",
      "call 0 epoll_wait(3, 200004000, 2, 0)",
      "peek 200004000 [24]",
      "call 0 close(3)",
    ]);
  });

  test("outputs are filled with 0xaa", () => {
    const [poke] = lowered('read(3, "", 4) = 0').program.steps;
    expect(poke).toEqual({ op: "poke", addr: UserLayout.arena + 0x4000, bytes: new Uint8Array(4).fill(0xaa) });
  });

  test("an input ends in zeros up to the length that the call is told", () => {
    const [poke] = lowered('write(3, "ab", 4) = 4').program.steps;
    expect(poke).toMatchObject({ bytes: Uint8Array.from([0x61, 0x62, 0, 0]) });
  });

  test("places are addresses", () => {
    expect(
      steps(
        [
          "read(3, NULL, 1) = -1 EFAULT",
          "read(3, 0x1234, 1) = -1 EFAULT",
          "read(3, @bad, 1) = -1 EFAULT",
          "read(3, @kernel, 1) = -1 EFAULT",
          "read(3, @ro, 1) = -1 EFAULT",
          "write(3, @buf+8, 4) = 4",
        ].join("\n"),
      ),
    ).toEqual([
      "call 0 read(3, 0, 1)",
      "call 0 read(3, 4660, 1)",
      "call 0 read(3, 240000000, 1)",
      "call 0 read(3, -140737488355328, 1)",
      "call 0 read(3, 220000000, 1)",
      "peek 220000000 [1]",
      "call 0 write(3, 200000008, 4)",
    ]);
  });

  test("an edge cuts what is put there and what is read back", () => {
    expect(steps('write(3, @edge-2:"abcd", 4) = -1 EFAULT\nread(3, @edge-3, 8) = 3\nread(3, @odd, 2) = 2')).toEqual([
      "poke 21000fffe [2]",
      "call 0 write(3, 21000fffe, 4)",
      "poke 21000fffd [3]",
      "call 0 read(3, 21000fffd, 8)",
      "peek 21000fffd [3]",
      "poke 200004001 [2]",
      "call 0 read(3, 200004001, 2)",
      "peek 200004001 [2]",
    ]);
  });

  test("buffers behind buffers have addresses of their own", () => {
    expect(steps('readv(3, [{iov_base="ab", iov_len=2}, {iov_base=@bad, iov_len=1}], 2) = 2')).toEqual([
      "poke 200004020 [2]",
      "poke 200004000 [32]",
      "call 0 readv(3, 200004000, 2)",
      "peek 200004020 [2]",
    ]);
  });

  test("arguments that travel in another register than their position", () => {
    expect(steps("preadv2(3, NULL, 0, 5, RWF_NOWAIT) = 0")).toEqual(["call 0 preadv2(3, 0, 0, 5, 0, 8)"]);
  });
});

describe("names", () => {
  test("are slots: as arguments, in structs, in new pairs and received descriptors", () => {
    expect(
      steps(
        [
          "epoll_create1(0) = $ep",
          "pipe2([$r, $w], 0) = 0",
          "epoll_ctl($ep, EPOLL_CTL_ADD, $r, {events=EPOLLIN, data={u32=$r, u64=$r}}) = 0",
          "poll([{fd=$w, events=POLLOUT}], 1, 0) = 1",
        ].join("\n"),
      ),
    ).toEqual([
      "call 0 epoll_create1(0) -> slot 0",
      "poke 200004000 [8]",
      "call 0 pipe2(200004000, 0)",
      "peek 200004000 [8]",
      "peekSlot 200004000 slot 1",
      "peekSlot 200004004 slot 2",
      "poke 200004000 [12]",
      "pokeSlot 200004004 8 slot 1",
      "call 0 epoll_ctl(slot 0, 1, slot 1, 200004000)",
      "poke 200004000 [8]",
      "pokeSlot 200004000 4 slot 2",
      "call 0 poll(200004000, 1, 0)",
      "peek 200004000 [8]",
    ]);
  });

  test("in a received control message are bound there", () => {
    const text =
      'recvmsg(4, {msg_iov=[{iov_base="x", iov_len=1}], msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[$got]}], msg_controllen=24, msg_flags=0}, 0) = 1\nclose($got) = 0';
    const all = steps(text);
    expect(all.filter((step) => step.startsWith("peekSlot"))).toEqual(["peekSlot 200004070 slot 0"]);
    expect(all.at(-1)).toBe("call 0 close(slot 0)");
  });
});

describe("tasks", () => {
  test("a call in two lines is entered, and awaited in its second; every line settles meanwhile", () => {
    expect(
      steps(
        [
          "A  epoll_create1(0) = 3",
          "B  epoll_wait(3,  <unfinished ...>",
          "A  close(9) = -1 EBADF",
          "B  <... epoll_wait resumed>[], 8, 5) = 0",
          "A  close(3) = 0",
        ].join("\n"),
      ),
    ).toEqual([
      "call 0 epoll_create1(0)",
      "spawn 1 thread of 0",
      "poke 200004000 [96]",
      "call 1 epoll_wait(3, 200004000, 8, 5) nowait",
      "call 0 close(9)",
      "settle",
      "await 1",
      "peek 200004000 [96]",
      "call 0 close(3)",
    ]);
  });

  test("a call that is never resumed must sleep at the end; what its second half would show has defaults", () => {
    expect(
      steps('A  close(9) = -1 EBADF\nB  epoll_wait(3,  <unfinished ...>\nC  read(4, "", 3) = ? <blocked>'),
    ).toEqual([
      "call 0 close(9)",
      "spawn 1 thread of 0",
      "poke 200004000 [96]",
      "call 1 epoll_wait(3, 200004000, 8, -1) nowait",
      "spawn 2 thread of 0",
      "poke 200004060 [3]",
      "call 2 read(4, 200004060, 3) nowait",
      "settle",
      "blocked 1",
      "blocked 2",
    ]);
  });

  test("fork and thread lines say whose child a task is", () => {
    expect(steps("A  close(9) = 0\n#! fork B A\n#! thread C B\nC  close(3) = 0")).toEqual([
      "call 0 close(9)",
      "spawn 1 process of 0",
      "spawn 2 thread of 1",
      "call 2 close(3)",
    ]);
    expect(steps("#! fork B A\nA  close(3) = 0")).toEqual(["spawn 1 process of 0", "call 0 close(3)"]);
  });

  test("exit is entered and never waited for", () => {
    expect(steps("A  close(9) = 0\nB  exit(0) = ?\nA  close(3) = 0").slice(2)).toEqual([
      "call 1 exit(0) nowait",
      "call 0 close(3)",
    ]);
  });
});

test("queries", () => {
  expect(
    steps(
      [
        "A  epoll_create1(0) = $ep",
        "B  read(5, @frozen, 1 <unfinished ...>",
        "A  fdinfo($ep) = []",
        "A  poll_mask(3) = 0",
        "A  blocked(B) = 1",
        "A  thaw(@frozen) = 0",
        'A  peek(@buf+8, 2) = "\\0\\0"',
        "B  <... read resumed>) = 1",
      ].join("\n"),
    ),
  ).toEqual([
    "call 0 epoll_create1(0) -> slot 0",
    "spawn 1 thread of 0",
    "call 1 read(5, 230000000, 1) nowait",
    "fdinfo 0 slot 0",
    "pollMask 0 3",
    "blocked 1",
    "thaw 0",
    "settle",
    "peek 200000008 [2]",
    "await 1",
    "peek 230000000 [1]",
  ]);
});

test("the machine is set up as the directives say", () => {
  const { setup } = lower(parseScript("#! uid 7\n#! nofile 9\n#! sysctl fs.nr_open=2000\nclose(3) = $x", "s"), {
    watchdogNs: 5,
  }).program;
  expect(setup).toEqual({
    uid: 7,
    nofile: 9,
    sysctls: new Map([["fs.nr_open", "2000"]]),
    hosts: [],
    slots: 1,
    watchdogNs: 5,
  });
});

test("dumps stand between the steps", () => {
  const { plans } = lowered("close(3) = 0\n#! dump 3\nclose(4) = 0");
  expect(plans[1]).toEqual({ kind: "dump", line: 1, fd: "3", step: 1 });
});

describe("mistakes", () => {
  test.each([
    ["epol_wait(3, [], 8, 0) = 0", "s:1:1: found the unknown call 'epol_wait', expected 'epoll_wait'"],
    [
      "A  epoll_wait(3, [], 8) = 0",
      "s:1:4: found 3 arguments of epoll_wait, expected 4 (epfd, events, maxevents, timeout)",
    ],
    ["close(3, 4) = 0", "s:1:1: found 2 arguments of close, expected 1 (fd)"],
    [
      "epoll_ctl(3, EPOLL_CTL_AD, 4, NULL) = 0",
      "s:1:14: found the unknown symbol 'EPOLL_CTL_AD', expected 'EPOLL_CTL_ADD'",
    ],
    ["epoll_ctl(3, 1, 4, {events=EPOLLIN|EPOLLXYZZY}) = 0", "found the unknown symbol 'EPOLLXYZZY', expected"],
    ["epoll_ctl(3, 1, 4, {evnts=1}) = 0", "found no such field, expected one of events, data"],
    ["epoll_ctl(3, 1, 4, [1]) = 0", "s:1:20: found not a struct"],
    ["close($e) = 0", "s:1:7: found the name $e, which nothing has bound, expected '= $name' before it"],
    [
      "epoll_create1(0) = $epoll\nclose($epol) = 0",
      "s:2:7: found the name $epol, which nothing has bound, expected $epoll",
    ],
    ["write(3, @froze, 1) = 1", "s:1:10: found the unknown place '@froze', expected @frozen"],
    ["write(3, ?, 1) = 1", "found no content, expected the content, or an address"],
    ["close(?) = 0", "s:1:7: found '?' in place of an input"],
    ["close(3) = -1 EBADFF", "s:1:15: found the unknown error 'EBADFF', expected 'EBADF'"],
    ["A  read(3,  <unfinished ...>\nA  close(3) = 0", "s:2:4: found a call of a task that is inside read since line 1"],
    ["A  <... read resumed>) = 0", "s:1:9: found 'read resumed' of a task inside no call"],
    ["A  read(3,  <unfinished ...>\nA  <... write resumed>) = 0", "found 'write resumed' of a task inside read"],
    ["A  exit(0) = ?\nA  close(3) = 0", "s:2:4: found a call of a task that ended in line 1"],
    ["blocked(Z) = 1", "s:1:9: found the unknown task 'Z'"],
    ["#! fork B Q\nB  close(3) = 0\n#! fork C X", "s:3:11: found the unknown task 'X'"],
    ["thaw(@buf) = 0", "s:1:6: found '@buf', expected @frozen"],
    ['peek(@bad, 4) = ""', "s:1:6: found 4 bytes at @bad, expected bytes that can be read"],
    ["fdinfo() = []", "s:1:1: found 0 arguments of fdinfo, expected 1"],
    ["lseek(3, 0x7fffffffffffffff, 0) = 0", "found '0x7fffffffffffffff', expected a number below 2^53 in a register"],
    [
      'connect(3, {sa_family=AF_INET, sin_addr=inet_addr("1.2.3")}, 16) = 0',
      "found '1.2.3', expected an address such as 127.0.0.1",
    ],
  ])("%j", (text, message) => {
    expect(() => lowered(text)).toThrow(message);
  });

  test("more memory than there is", () => {
    const many = Array.from({ length: 17 }, (_, i) => `T${i}  read(3, "", 1048576) = ? <blocked>`).join("\n");
    expect(() => lowered(many)).toThrow(/s:16:\d+: found 1048576 bytes for an argument/u);
  });
});
