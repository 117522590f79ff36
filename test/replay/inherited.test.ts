import { describe, expect, test } from "vitest";
import { replayText } from "../helpers/replay-text.ts";

function counts(text: string): { diverged: number; assumed: number } {
  const { diverged, assumed } = replayText(text);
  return { diverged, assumed };
}

const FORK = "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7f00)";

describe("what a process takes along", () => {
  test("RLIMIT_NOFILE is told once, and a child has its parent's", () => {
    const limit = (soft: number): string => `{rlim_cur=${soft}, rlim_max=20000}`;
    const text = `
7 prlimit64(0, RLIMIT_NOFILE, NULL, ${limit(20000)}) = 0
7 prlimit64(0, RLIMIT_NOFILE, ${limit(8)}, ${limit(20000)}) = 0
7 ${FORK} = 8
8 getrlimit(RLIMIT_NOFILE, ${limit(8)}) = 0
8 eventfd2(0, 0) = 3
8 fcntl(3, F_DUPFD, 8) = -1 EINVAL
`;
    expect(counts(text)).toEqual({ diverged: 0, assumed: 1 });
    const wrong = text.replace("getrlimit(RLIMIT_NOFILE, {rlim_cur=8", "getrlimit(RLIMIT_NOFILE, {rlim_cur=9");
    expect(replayText(wrong).first_divergence?.call).toBe("getrlimit");
  });

  test("descriptors that go with an execve are gone before it returns", () => {
    const text = `
7 pipe2([3, 4], O_CLOEXEC) = 0
7 ${FORK} = 8
7 close(4) = 0
7 read(3,  <unfinished ...>
8 execve("/bin/true", ["true"], []  <unfinished ...>
7 <... read resumed>"", 8) = 0
8 <... execve resumed>) = 0
8 eventfd2(0, 0) = 3
`;
    expect(counts(text)).toEqual({ diverged: 0, assumed: 0 });
    expect(counts(text.replace("execve resumed>) = 0", "execve resumed>) = -1 ENOENT")).diverged).toBeGreaterThan(0);
  });

  test("numbers that are passed show inherited ones", () => {
    const header = (fd: number): string =>
      `{msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="M", iov_len=1}], msg_iovlen=1, msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[${fd}]}], msg_controllen=24, msg_flags=0}`;
    const text = `
7 socketpair(AF_UNIX, SOCK_STREAM, 0, [3, 4]) = 0
7 sendmsg(3, ${header(3)}, 0) = 1
7 recvmsg(4, ${header(6)}, 0) = 1
7 close(5) = 0
`;
    expect(counts(text)).toEqual({ diverged: 0, assumed: 1 });
  });

  test("a size that the machine is configured to is told once", () => {
    const size = (bytes: number): string => `7 getsockopt(3, SOL_SOCKET, SO_SNDBUF, [${bytes}], [4]) = 0\n`;
    expect(
      counts(`7 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3\n${size(20480)}${size(20480)}${size(20480)}`),
    ).toEqual({
      diverged: 0,
      assumed: 1,
    });
  });
});
