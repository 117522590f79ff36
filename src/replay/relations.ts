/**
 * Which descriptions a call can change something for.
 */
import type { File } from "../kernel/fs/file.ts";
import { InetSock } from "../kernel/net/inet/inet-sock.ts";
import { TcpSock } from "../kernel/net/inet/tcp-sock.ts";
import { SocketFile } from "../kernel/net/socket.ts";
import { SUN_PATH_OFFSET } from "../kernel/net/unix/names.ts";
import { UnixSock } from "../kernel/net/unix/unix-sock.ts";
import { Af } from "../kernel/uapi/socket.ts";
import { field } from "../trace/abi/evaluate.ts";
import type { Expr } from "../trace/ast.ts";
import type { CallRecord } from "../trace/pairs.ts";
import { flatten } from "./arguments.ts";
import type { ReplayTask } from "./machine.ts";

/** The socket at the other end of a connection inside the recording; null when there is none. */
export function peerOf(file: File): File | null {
  if (!(file instanceof SocketFile)) return null;
  const { sk } = file;
  if (sk instanceof UnixSock) return sk.peer?.file ?? null;
  if (!(sk instanceof InetSock) || sk.dport === 0) return null;
  const other = sk.net.tcp.lookup(sk.daddr, sk.dport, sk.rcvSaddr, sk.num);
  return other instanceof TcpSock ? other.file : null;
}

/** Whether what happens to `file` can be seen at `other`: the same object, two ends of a pipe, of a connection. */
export function reaches(file: File, other: File): boolean {
  if (file === other) return true;
  if (file.inode === other.inode) return file.inode !== file.kernel.anonInode;
  return peerOf(file) === other;
}

/** Whether an epoll instance watches this description or its other end. */
export function isWatchedBy(file: File, watcher: File): boolean {
  return watches(watcher, file) || watchesPeer(watcher, file);
}

function watchesPeer(watcher: File, file: File): boolean {
  const peer = peerOf(file);
  if (peer !== null) return watches(watcher, peer);
  if (watcher.epoll === null || file.inode === file.kernel.anonInode) return false;
  for (let node = watcher.epoll.rdllist.first; node !== null; node = node.next) {
    if (node.owner.file.inode === file.inode) return true;
  }
  return false;
}

function watches(watcher: File, file: File): boolean {
  if (file.fEp === null) return false;
  for (const hook of file.fEp) if (hook.ep.file === watcher) return true;
  return false;
}

/** The AF_UNIX socket behind a `{sa_family=AF_UNIX, sun_path="..."}`, as this task finds it; null when there is none. */
export function unixAt(owner: ReplayTask, sk: UnixSock, address: Expr | undefined): UnixSock | null {
  const other = findUnix(owner, sk, address);
  return typeof other === "number" ? null : other;
}

/** The same, or the error with which the search ends; null where the address has no path. */
export function findUnix({ task }: ReplayTask, sk: UnixSock, address: Expr | undefined): UnixSock | number | null {
  const path = address?.kind === "struct" ? field(address, "sun_path", 1) : null;
  if (path?.kind !== "str") return null;
  const name = new Uint8Array(path.bytes.length + SUN_PATH_OFFSET + 1);
  name.set([Af.UNIX, 0]);
  name.set(flatten(path).bytes, SUN_PATH_OFFSET);
  return sk.findOther(task, name);
}

/** The address that a sendto or a sendmsg gives; null for other calls. */
export function addresseeOf({ name, args }: CallRecord): Expr | null {
  const [, message] = args;
  const address =
    name === "sendmsg" && message?.kind === "struct"
      ? field(message, "msg_name", 0)
      : name === "sendto"
        ? args[4]
        : undefined;
  return address?.kind === "struct" ? address : null;
}
