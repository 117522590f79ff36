import { describe, expect, it } from "vitest";
import { checkPipe } from "../../src/kernel/fs/pipe.ts";
import { PipeFile } from "../../src/kernel/fs/pipe-file.ts";
import { sysEventfd2 } from "../../src/syscalls/eventfd.ts";
import { sysClose, sysLseek } from "../../src/syscalls/fd.ts";
import { sysMemfdCreate, sysMknod, sysOpen } from "../../src/syscalls/open.ts";
import { sysPipe2 } from "../../src/syscalls/pipe.ts";
import { sysPreadv2, sysRead, sysWrite } from "../../src/syscalls/rw.ts";
import { sysSocketpair } from "../../src/syscalls/socket.ts";
import { sysSendfile, sysSplice, sysTee, sysVmsplice } from "../../src/syscalls/splice.ts";
import { ARENA, BAD, Machine, shown } from "../helpers/files.ts";

const NONBLOCK = 0o4000;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const RW = 2;
const PAGE = 4096;
const DATA = ARENA + 0x10000;
const VEC = ARENA + 0x800;
const POS = ARENA + 0x900;

class Splicer extends Machine {
  pipe(flags = NONBLOCK): [number, number] {
    sysPipe2(this.task, ARENA, flags);
    return [this.peek32(ARENA), this.peek32(ARENA + 4)];
  }

  open(path: string, flags = RW): number {
    this.poke(ARENA, `${path}\0`);
    return sysOpen(this.task, ARENA, flags, 0o600);
  }

  memfd(text: string): number {
    this.poke(ARENA, "m\0");
    const fd = sysMemfdCreate(this.task, ARENA, 0);
    this.write(fd, text);
    sysLseek(this.task, fd, 0, 0);
    return fd;
  }

  write(fd: number, text: string): number | string {
    this.poke(DATA, text);
    return shown(sysWrite(this.task, fd, DATA, text.length));
  }

  read(fd: number, count = 100000): string {
    const n = sysRead(this.task, fd, DATA, count);
    if (this.file(fd) instanceof PipeFile) checkPipe((this.file(fd) as PipeFile).pipe);
    return n < 0 ? String(shown(n)) : this.peekText(DATA, n);
  }

  splice(input: number, output: number, length: number, offIn = 0, offOut = 0, flags = 0): number | string {
    return shown(sysSplice(this.task, input, offIn, output, offOut, length, flags));
  }

  /** Free slots of a pipe. */
  free(fd: number): number {
    const { pipe } = this.file(fd) as PipeFile;
    checkPipe(pipe);
    return pipe.bufs.length - (pipe.head - pipe.tail);
  }
}

describe("splice between pipes", () => {
  it("P-33 moves slots; each call wakes the reader, with key 0", () => {
    const m = new Splicer();
    const [r, w] = m.pipe();
    const [r2, w2] = m.pipe();
    m.write(w, "abcdef");
    const reader = m.watch(r2);
    const writer = m.watch(w);
    expect([m.splice(r, w2, 2), reader.take(), writer.take()]).toEqual([2, [0], []]);
    expect([m.splice(r, w2, 100), reader.take(), writer.take()]).toEqual([4, [0], [0]]);
    expect([m.splice(r, w2, 100), reader.take(), writer.take()]).toEqual(["EAGAIN", [], []]);
    expect(m.free(r2)).toBe(14);
    expect(m.read(r2)).toBe("abcdef");
  });

  it("a slot moved whole can be merged into, one moved in part cannot", () => {
    const m = new Splicer();
    const [r, w] = m.pipe();
    const [r2, w2] = m.pipe();
    m.write(w, "abcd");
    m.splice(r, w2, 2);
    m.write(w2, "x");
    expect(m.free(r2)).toBe(14);
    m.splice(r, w2, 2);
    m.write(w2, "y");
    expect([m.free(r2), m.read(r2)]).toEqual([13, "abxcdy"]);
  });

  it("F-23 errors", () => {
    const m = new Splicer();
    const [r, w] = m.pipe();
    const [, w2] = m.pipe();
    const efd = sysEventfd2(m.task, 0, 0);
    const nul = m.open("/dev/null");
    m.poke64(POS, 0);
    expect(m.splice(99, 98, 0)).toBe(0);
    expect(m.splice(99, 98, 1, 0, 0, 99)).toBe("EINVAL");
    expect(m.splice(99, w, 1)).toBe("EBADF");
    expect(m.splice(w, w2, 1)).toBe("EBADF");
    expect(m.splice(r, w, 1)).toBe("EINVAL");
    expect(m.splice(efd, nul, 1)).toBe("EINVAL");
    expect(m.splice(efd, w, 5)).toBe("EINVAL");
    expect(m.splice(nul, w, 5)).toBe("EINVAL");
    expect(m.splice(r, efd, 5)).toBe("EINVAL");
    expect(m.splice(r, nul, 1, POS)).toBe("ESPIPE");
    expect(m.splice(r, nul, 1, BAD)).toBe("ESPIPE");
    expect(m.splice(r, nul, 1, 0, POS)).toBe("EAGAIN");
    expect(m.splice(r, nul, 1)).toBe("EAGAIN");
    expect(m.splice(nul, w, 1, BAD)).toBe("EFAULT");
    expect(m.splice(efd, w, 1, POS)).toBe("EINVAL");
    sysClose(m.task, r);
    expect(m.splice(nul, w, 1)).toBe("EPIPE");
  });

  it("the wake is plain: an OUT-only watcher of a FIFO hears of data spliced in", () => {
    const m = new Splicer();
    const [r, w] = m.pipe();
    m.poke(ARENA, "p\0");
    sysMknod(m.task, ARENA, 0o10600);
    const fifo = m.open("p", RW | NONBLOCK);
    const watch = m.watch(fifo);
    m.write(w, "abc");
    m.splice(r, fifo, 3);
    expect(watch.take()).toEqual([0]);
  });

  it("sleeps for data, then for room, and holds both files", () => {
    const m = new Splicer();
    const [r, w] = m.pipe(0);
    const [r2, w2] = m.pipe(0);
    const first = m.sleeper((task) => sysSplice(task, r, 0, w2, 0, 10, 0));
    sysClose(m.task, r);
    sysClose(m.task, w2);
    m.write(w, "abc");
    m.kernel.settle();
    expect([first.result, m.read(r2), m.read(r2)]).toEqual([3, "abc", ""]);
    expect(m.write(w, "x")).toBe("EPIPE");
    const [r3, w3] = m.pipe(0);
    const [r4, w4] = m.pipe(0);
    sysWrite(m.task, w4, DATA, 65536);
    m.write(w3, "z");
    const second = m.sleeper((task) => sysSplice(task, r3, 0, w4, 0, 1, 0));
    m.read(r4, PAGE);
    m.kernel.settle();
    expect(second.result).toBe(1);
  });

  it("tee leaves the input as it is", () => {
    const m = new Splicer();
    const [r, w] = m.pipe();
    const [r2, w2] = m.pipe();
    m.write(w, "abc");
    const reader = m.watch(r2);
    const writer = m.watch(w);
    expect([sysTee(m.task, r, w2, 2, 0), sysTee(m.task, r, w2, 9, 0)]).toEqual([2, 3]);
    expect([reader.take(), writer.take()]).toEqual([[0, 0], []]);
    m.write(w, "d");
    expect([m.read(r), m.read(r2)]).toEqual(["abcd", "ababc"]);
    expect(shown(sysTee(m.task, r, w, 1, 0))).toBe("EINVAL");
    expect(shown(sysTee(m.task, r, w2, 1, 0))).toBe("EAGAIN");
    expect(shown(sysTee(m.task, 99, w2, 0, 99))).toBe("EINVAL");
    expect(sysTee(m.task, 99, 98, 0, 0)).toBe(0);
  });
});

describe("splice with files", () => {
  it("a file's slots are its pages", () => {
    const m = new Splicer();
    const [r, w] = m.pipe();
    const mem = m.memfd("0123456789".repeat(1000));
    m.poke64(POS, 100);
    expect([m.splice(mem, w, 9000, POS), m.peek64(POS), m.file(mem).pos]).toEqual([9000, 9100n, 0]);
    expect(m.free(r)).toBe(13);
    expect(m.read(r).length).toBe(9000);
    sysLseek(m.task, mem, 9998, 0);
    expect([m.splice(mem, w, 100), m.splice(mem, w, 100), m.file(mem).pos]).toEqual([2, 0, 10000]);
    expect(m.read(r)).toBe("89");
  });

  it("from a device, to a device, to a file", () => {
    const m = new Splicer();
    const [r, w] = m.pipe();
    expect(m.splice(m.open("/dev/zero"), w, 1000000)).toBe(65536);
    const writer = m.watch(w);
    expect([m.splice(r, m.open("/dev/null"), 5000), writer.take()]).toEqual([5000, [0]]);
    expect(m.read(r).length).toBe(60536);
    const mem = m.memfd("0123456789");
    m.write(w, "hello");
    sysLseek(m.task, mem, 3, 0);
    expect([m.splice(r, mem, 100), m.file(mem).pos]).toEqual([5, 8]);
    sysLseek(m.task, mem, 0, 0);
    expect(m.read(mem)).toBe("012hello89");
    m.file(mem).flags |= 0o2000;
    m.write(w, "x");
    expect(m.splice(r, mem, 100)).toBe("EINVAL");
  });

  it("sendfile", () => {
    const m = new Splicer();
    const [r, w] = m.pipe();
    const mem = m.memfd("0123456789");
    const out = m.memfd("");
    const efd = sysEventfd2(m.task, 0, 0);
    const send = (to: number, from: number, offset: number, count: number) =>
      shown(sysSendfile(m.task, to, from, offset, count));
    expect([send(w, mem, 0, 4), m.file(mem).pos, m.read(r)]).toEqual([4, 4, "0123"]);
    m.poke64(POS, 2);
    expect([send(out, mem, POS, 5), m.peek64(POS), m.file(mem).pos]).toEqual([5, 7n, 4]);
    sysLseek(m.task, out, 0, 0);
    expect(m.read(out)).toBe("23456");
    expect([send(m.open("/dev/null"), mem, 0, 100), m.file(mem).pos]).toEqual([6, 10]);
    sysLseek(m.task, mem, 0, 0);
    expect([send(efd, mem, 0, 10), m.file(mem).pos]).toEqual(["EINVAL", 0]);
    expect(send(out, r, 0, 1)).toBe("EINVAL");
    expect(send(out, efd, 0, 1)).toBe("EINVAL");
    expect(send(w, r, POS, 1)).toBe("ESPIPE");
    expect(send(99, mem, 0, 1)).toBe("EBADF");
    expect(send(out, 99, 0, 1)).toBe("EBADF");
    expect(send(w, mem, BAD, 1)).toBe("EFAULT");
    expect(send(out, mem, 0, -1)).toBe("EINVAL");
    expect(send(out, mem, 0, 0)).toBe(0);
  });
});

describe("vmsplice", () => {
  it("P-34 a slot per page of memory, none to merge into", () => {
    const m = new Splicer();
    const [r, w] = m.pipe();
    const splice = (...vec: number[]) => {
      m.poke64(VEC, ...vec);
      return shown(sysVmsplice(m.task, w, VEC, vec.length / 2, 2));
    };
    m.poke(DATA + 100, "abc");
    const watch = m.watch(r);
    expect([splice(DATA + 100, PAGE), m.free(r), watch.take()]).toEqual([PAGE, 14, [0]]);
    expect(m.read(r, 3)).toBe("abc");
    m.read(r);
    for (let i = 0; i < 15; i += 1) expect(splice(DATA, 1)).toBe(1);
    m.write(w, "x");
    expect([m.free(r), splice(DATA, 1)]).toEqual([0, "EAGAIN"]);
    m.read(r);
    expect([splice(DATA, 0, DATA, 2, DATA, 0, DATA + PAGE, 3), m.free(r)]).toEqual([5, 14]);
    expect(splice(BAD, 1)).toBe("EFAULT");
    expect(splice(DATA, 1, BAD, 1)).toBe(1);
  });

  it("from a pipe it is a read that ignores O_NONBLOCK", () => {
    const m = new Splicer();
    const [r, w] = m.pipe();
    m.write(w, "abc");
    m.poke64(VEC, DATA, 2);
    const watch = m.watch(w);
    expect([sysVmsplice(m.task, r, VEC, 1, 0), m.peekText(DATA, 2), watch.take()]).toEqual([2, "ab", []]);
    expect([sysVmsplice(m.task, r, VEC, 1, 0), watch.take()]).toEqual([1, [0]]);
    expect(shown(sysVmsplice(m.task, r, VEC, 1, 2))).toBe("EAGAIN");
    const sleeper = m.sleeper((task) => sysVmsplice(task, r, VEC, 1, 0));
    m.poke(DATA + 8, "z");
    sysWrite(m.task, w, DATA + 8, 1);
    m.kernel.settle();
    expect(sleeper.result).toBe(1);
    const nul = m.open("/dev/null");
    expect(shown(sysVmsplice(m.task, nul, VEC, 1, 0))).toBe("EBADF");
    expect(shown(sysVmsplice(m.task, nul, VEC, 0, 0))).toBe(0);
    expect(shown(sysVmsplice(m.task, r, BAD, 1, 0))).toBe("EFAULT");
    expect(shown(sysVmsplice(m.task, r, VEC, 1, 16))).toBe("EINVAL");
    expect(shown(sysPreadv2(m.task, r, VEC, 1, -1, -1, 8))).toBe("EOPNOTSUPP");
  });

  it("what sockets give to pipes is counted as memory in use, and given back", () => {
    const s = new Splicer();
    const held = (): unknown => s.kernel.pages.privateFields()[0];
    sysSocketpair(s.task, AF_UNIX, SOCK_STREAM | NONBLOCK, 0, ARENA);
    const [a, b] = [s.peek32(ARENA), s.peek32(ARENA + 4)];
    const [r, w] = s.pipe();
    for (const [length, pages] of [
      [10, 1],
      [3 * PAGE + 1, 4],
    ] as const) {
      s.poke(DATA, "x".repeat(length));
      expect(sysWrite(s.task, a, DATA, length)).toBe(length);
      expect(sysSplice(s.task, b, 0, w, 0, 1 << 16, 0)).toBe(length);
      expect(held()).toBe(pages);
      expect(s.read(r)).toBe("x".repeat(length));
      expect(held()).toBe(0);
    }
  });
});
