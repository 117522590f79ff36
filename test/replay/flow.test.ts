import { describe, expect, test } from "vitest";
import { replayText } from "../helpers/replay-text.ts";

/** 4 listens, 5 is the client, 6 the accepted end; 3 watches 6. */
const CONNECTED = `
7 epoll_create1(0) = 3
7 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 4
7 bind(4, {sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
7 listen(4, 8) = 0
7 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 5
7 connect(5, {sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
7 accept4(4, NULL, NULL, SOCK_NONBLOCK) = 6
7 fcntl(5, F_SETFL, O_RDWR|O_NONBLOCK) = 0
7 epoll_ctl(3, EPOLL_CTL_ADD, 6, {events=EPOLLIN|EPOLLET, data={u32=6, u64=6}}) = 0
`;
const MUCH = `7 write(5, "aaaaaaaa"..., 1048576) = 1048576
7 write(5, "aaaaaaaa"..., 1048576) = 786432
7 write(5, "aaaaaaaa"..., 262144) = -1 EAGAIN
`;

function counts(text: string): { diverged: number; assumed: number } {
  const { diverged, assumed } = replayText(CONNECTED + text);
  return { diverged, assumed };
}

const AGREED = { diverged: 0, assumed: 0 };

describe("a TCP connection in full flow", () => {
  test("a read finds what crosses while it is under way", () => {
    expect(counts(`${MUCH}7 read(6, "aaaaaaaa"..., 1048576) = 1048576\n`)).toEqual(AGREED);
  });

  test("a read falls short of what has been written", () => {
    expect(counts(`${MUCH}7 read(6, "aaaaaaaa"..., 1048576) = 128000\n`)).toEqual(AGREED);
  });

  test("a select finds room, or none", () => {
    expect(
      counts(`${MUCH}7 select(6, NULL, [5], NULL, {tv_sec=1, tv_usec=0}) = 1 (out [5], left {tv_sec=1, tv_usec=0})
7 select(7, [6], [5], NULL, {tv_sec=1, tv_usec=0}) = 1 (in [6], left {tv_sec=1, tv_usec=0})
`),
    ).toEqual(AGREED);
  });

  test("edges come as often as bursts do", () => {
    const report = `7 epoll_wait(3, [{events=EPOLLIN, data={u32=6, u64=6}}], 8, 0) = 1\n`;
    expect(
      counts(`${MUCH}${report}7 read(6, "aaaaaaaa"..., 65536) = 65536
7 epoll_wait(3, [], 8, 0) = 0
${report}${report}`),
    ).toEqual(AGREED);
  });

  test("but not in a connection with little on its way", () => {
    const little = `7 write(5, "aaaaaaaa"..., 1000) = 1000\n`;
    expect(counts(`${little}7 read(6, "aaaaaaaa"..., 4000) = 2000\n`).diverged).toBe(1);
    expect(counts(`${little}7 epoll_wait(3, [], 8, 0) = 0\n`).diverged).toBe(1);
    expect(
      counts(`${little}7 select(7, [6], [5], NULL, {tv_sec=1, tv_usec=0}) = 1 (in [6], left {tv_sec=1, tv_usec=0})\n`)
        .diverged,
    ).toBe(1);
  });
});

test("TCP and UDP have ports of their own", () => {
  const { diverged, assumed } = replayText(`
7 socket(AF_INET, SOCK_DGRAM, 0) = 3
7 bind(3, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
7 getsockname(3<UDP:[127.0.0.1:40001]>, {sa_family=AF_INET, sin_port=htons(40001), sin_addr=inet_addr("127.0.0.1")}, [16]) = 0
7 socket(AF_INET, SOCK_STREAM, 0) = 4
7 bind(4, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
7 getsockname(4<TCP:[127.0.0.1:40002]>, {sa_family=AF_INET, sin_port=htons(40002), sin_addr=inet_addr("127.0.0.1")}, [16]) = 0
7 getsockname(3<UDP:[127.0.0.1:40001]>, {sa_family=AF_INET, sin_port=htons(40001), sin_addr=inet_addr("127.0.0.1")}, [16]) = 0
`);
  expect({ diverged, assumed }).toEqual({ diverged: 0, assumed: 0 });
});
