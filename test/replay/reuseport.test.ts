import { describe, expect, test } from "vitest";
import { HORIZON } from "../../src/replay/lookahead.ts";
import { replayText } from "../helpers/replay-text.ts";

const ADDRESS = `{sa_family=AF_INET, sin_port=htons(5353), sin_addr=inet_addr("127.0.0.1")}`;
const LATER = "7 getpid() = 7\n".repeat(HORIZON + 1000);

/** Two sockets with the same address, 3 and 4, both watched by 5. */
function group(type: string): string {
  const member = (fd: number): string => `7 socket(AF_INET, ${type}|SOCK_NONBLOCK, 0) = ${fd}
7 setsockopt(${fd}, SOL_SOCKET, SO_REUSEPORT, [1], 4) = 0
7 bind(${fd}, ${ADDRESS}, 16) = 0
${type === "SOCK_STREAM" ? `7 listen(${fd}, 8) = 0\n` : ""}`;
  return `${member(3)}${member(4)}7 epoll_create1(0) = 5
7 epoll_ctl(5, EPOLL_CTL_ADD, 3, {events=EPOLLIN, data={u32=3, u64=3}}) = 0
7 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLIN, data={u32=4, u64=4}}) = 0
`;
}

const event = (fd: number): string => `7 epoll_wait(5, [{events=EPOLLIN, data={u32=${fd}, u64=${fd}}}], 8, 0) = 1\n`;

describe("who of a SO_REUSEPORT group was chosen shows long after", () => {
  const sender = (fd: number, port: number): string => `7 socket(AF_INET, SOCK_DGRAM, 0) = ${fd}
7 bind(${fd}, {sa_family=AF_INET, sin_port=htons(${port}), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
7 sendto(${fd}, "${port}", 4, 0, ${ADDRESS}, 16) = 4
`;
  const receive = (fd: number, port: number): string =>
    `7 recvfrom(${fd}, "${port}", 100, 0, {sa_family=AF_INET, sin_port=htons(${port}), sin_addr=inet_addr("127.0.0.1")}, [16]) = 4\n`;

  test.each([3, 4])("a datagram was for %i", (fd) => {
    const { diverged, assumed } = replayText(
      `${group("SOCK_DGRAM")}${sender(6, 7001)}${LATER}${event(fd)}${receive(fd, 7001)}`,
    );
    expect({ diverged, assumed }).toEqual({ diverged: 0, assumed: 0 });
  });

  test("two datagrams that went to different ones", () => {
    const sent = `${group("SOCK_DGRAM")}${sender(6, 7001)}${sender(7, 7002)}${LATER}`;
    const { diverged } = replayText(`${sent}${receive(4, 7001)}${receive(3, 7002)}`);
    expect(diverged).toBe(0);
    expect(replayText(`${sent}${receive(4, 7003)}`).diverged).toBe(1);
  });

  test.each([3, 4])("a connection was for %i", (fd) => {
    const { diverged, assumed } = replayText(`${group("SOCK_STREAM")}7 socket(AF_INET, SOCK_STREAM, 0) = 6
7 bind(6, {sa_family=AF_INET, sin_port=htons(7001), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
7 connect(6, ${ADDRESS}, 16) = 0
${LATER}${event(fd)}7 accept4(${fd}, {sa_family=AF_INET, sin_port=htons(7001), sin_addr=inet_addr("127.0.0.1")}, [16], 0) = 7
`);
    expect({ diverged, assumed }).toEqual({ diverged: 0, assumed: 0 });
  });
});
