/**
 * Names of AF_UNIX sockets: abstract ones, and files.
 *
 * Counterpart: `net/unix/af_unix.c` (`unix_find_socket_byname`, `unix_find_socket_byinode`, `unix_bind_bsd`).
 * Abstract names are kept per socket type: Linux hashes the type into the bucket, and the types never share one.
 * A file outlives the socket that was bound to it and refuses a second bind until it is unlinked (U-30, U-31).
 */
import type { Inode } from "../../fs/file.ts";
import type { UnixSock } from "./unix-sock.ts";

/** `offsetof(struct sockaddr_un, sun_path)`. */
export const SUN_PATH_OFFSET = 2;
/** `sizeof(struct sockaddr_un)`. */
export const SOCKADDR_UN_BYTES = 110;

/** The path in an address: up to the first NUL, or to the end. */
export function sunPath(addr: Uint8Array): string {
  let text = "";
  for (let i = SUN_PATH_OFFSET; i < addr.length && addr[i] !== 0; i += 1) {
    text += String.fromCharCode(addr[i] as number);
  }
  return text;
}

/** `unix_mkname_bsd`: the address as getsockname shows it, with exactly one NUL behind the path. */
export function bsdAddress(addr: Uint8Array): Uint8Array {
  const length = SUN_PATH_OFFSET + sunPath(addr).length;
  const name = new Uint8Array(length + 1);
  name.set(addr.subarray(0, length));
  return name;
}

function abstractKey(type: number, addr: Uint8Array): string {
  return `${type}:${String.fromCharCode(...addr)}`;
}

export class UnixNames {
  readonly #abstract = new Map<string, UnixSock>();
  readonly #bound = new Map<Inode, UnixSock>();
  #autobind = 0;

  /** `unix_find_abstract`. */
  findAbstract(type: number, addr: Uint8Array): UnixSock | null {
    return this.#abstract.get(abstractKey(type, addr)) ?? null;
  }

  /** `unix_find_socket_byinode`. */
  findInode(inode: Inode): UnixSock | null {
    return this.#bound.get(inode) ?? null;
  }

  insertAbstract(type: number, addr: Uint8Array, sk: UnixSock): void {
    this.#abstract.set(abstractKey(type, addr), sk);
  }

  insertInode(inode: Inode, sk: UnixSock): void {
    this.#bound.set(inode, sk);
  }

  /** `unix_remove_socket`, `unix_remove_bsd_socket`. Only the socket that was bound itself has the name. */
  remove(type: number, addr: Uint8Array, inode: Inode | null, sk: UnixSock): void {
    if (inode !== null) {
      if (this.#bound.get(inode) === sk) this.#bound.delete(inode);
    } else if (this.findAbstract(type, addr) === sk) this.#abstract.delete(abstractKey(type, addr));
  }

  /** `unix_autobind`: an abstract name of five hexadecimal digits. Linux starts at random; the model counts. */
  autobindAddress(type: number): Uint8Array {
    for (;;) {
      const digits = (this.#autobind & 0xfffff).toString(16).padStart(5, "0");
      this.#autobind += 1;
      const addr = Uint8Array.from([1, 0, 0, ...[...digits].map((digit) => digit.charCodeAt(0))]);
      if (this.findAbstract(type, addr) === null) return addr;
    }
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#abstract, this.#bound, this.#autobind];
  }
}
