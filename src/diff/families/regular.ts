/**
 * Regular files and memfds: content, positions, sizes, seals, and moving data between them and pipes.
 */
import fc from "fast-check";
import type { Draft } from "../command.ts";
import type { Kind, KnownState } from "../known-state.ts";
import { everyFile } from "./every-file.ts";
import {
  data,
  type Family,
  install,
  installPair,
  iovecRoom,
  iovecsOf,
  none,
  on,
  onTwo,
  opens,
  room,
} from "./family.ts";

const FILES: readonly Kind[] = ["regular"];
const sizes = fc.constantFrom(0, 1, 2, 5, 100, 4095, 4096, 4097, 8192, 20000, 65536);
const offsets = fc.constantFrom(0, 0, 1, 5, 100, 4095, 4096, 4097, 10000, -1);
const SEALS = ["F_SEAL_GROW", "F_SEAL_SHRINK", "F_SEAL_SEAL", "F_SEAL_FUTURE_WRITE", "F_SEAL_GROW|F_SEAL_SHRINK"];
const HOW = ["O_RDWR|O_CREAT, 0600", "O_RDONLY", "O_WRONLY|O_APPEND", "O_RDWR|O_TRUNC", "O_RDWR|O_CREAT|O_EXCL, 0600"];

function memfd(known: KnownState, draft: Draft, flags: string): void {
  const { name } = install(known, "o", "regular");
  draft.add(`memfd_create("m", ${flags}) = $${name}`);
}

/** Regular files and memfds. */
export const regular: Family = {
  name: "regular",
  open: (known, draft) => {
    memfd(known, draft, "MFD_ALLOW_SEALING");
    const { name } = install(known, "o", "regular");
    draft.add(`open("file", O_RDWR|O_CREAT, 0600) = $${name}`);
    const [r, w] = installPair(known, ["r", "w"], ["pipe read", "pipe write"]);
    draft.add(`pipe2([$${r.name}, $${w.name}], O_NONBLOCK) = ?`);
  },
  commands: [
    ...everyFile,
    [
      1,
      opens("memfd_create", fc.constantFrom("0", "MFD_ALLOW_SEALING", "MFD_CLOEXEC"), (flags, draft, known) =>
        memfd(known, draft, flags),
      ),
    ],
    [
      2,
      opens(
        "open",
        fc.tuple(fc.constantFrom("file", "other"), fc.constantFrom(...HOW)),
        ([path, how], draft, known) => {
          const { name } = install(known, "o", "regular");
          draft.add(`open("${path}", ${how}) = $${name}`);
        },
      ),
    ],
    [1, opens("unlink", fc.constantFrom("file", "other"), (path, draft) => draft.add(`unlink("${path}") = ?`))],
    [
      5,
      on(FILES, "write", sizes, ({ name }, size, draft, known) =>
        draft.add(`write($${name}, ${data(size, known.token())}, ${size}) = ?`),
      ),
    ],
    [5, on(FILES, "read", sizes, ({ name }, size, draft) => draft.add(`read($${name}, ${room(size)}, ${size}) = ?`))],
    [
      2,
      on(FILES, "pwrite64", fc.tuple(sizes, offsets), ({ name }, [size, offset], draft, known) =>
        draft.add(`pwrite64($${name}, ${data(size, known.token())}, ${size}, ${offset}) = ?`),
      ),
    ],
    [
      2,
      on(FILES, "pread64", fc.tuple(sizes, offsets), ({ name }, [size, offset], draft) =>
        draft.add(`pread64($${name}, ${room(size)}, ${size}, ${offset}) = ?`),
      ),
    ],
    [
      1,
      on(
        FILES,
        "pwritev",
        fc.tuple(fc.array(sizes, { minLength: 1, maxLength: 3 }), offsets),
        ({ name }, [lengths, offset], draft, known) =>
          draft.add(`pwritev($${name}, ${iovecsOf(lengths, known.token())}, ${lengths.length}, ${offset}) = ?`),
      ),
    ],
    [
      1,
      on(FILES, "readv", fc.array(sizes, { minLength: 1, maxLength: 3 }), ({ name }, lengths, draft) =>
        draft.add(`readv($${name}, ${iovecRoom(lengths)}, ${lengths.length}) = ?`),
      ),
    ],
    [
      4,
      on(
        FILES,
        "lseek",
        fc.tuple(offsets, fc.constantFrom("SEEK_SET", "SEEK_SET", "SEEK_CUR", "SEEK_END", "9")),
        ({ name }, [offset, whence], draft) => draft.add(`lseek($${name}, ${offset}, ${whence}) = ?`),
      ),
    ],
    [2, on(FILES, "ftruncate", offsets, ({ name }, size, draft) => draft.add(`ftruncate($${name}, ${size}) = ?`))],
    [
      1,
      on(
        FILES,
        "fallocate",
        fc.tuple(
          fc.constantFrom("0", "FALLOC_FL_KEEP_SIZE", "FALLOC_FL_KEEP_SIZE|FALLOC_FL_PUNCH_HOLE"),
          offsets,
          sizes,
        ),
        ({ name }, [mode, offset, size], draft) => draft.add(`fallocate($${name}, ${mode}, ${offset}, ${size}) = ?`),
      ),
    ],
    [1, on(FILES, "fstat", none, ({ name }, _none, draft) => draft.add(`fstat($${name}, ?) = ?`))],
    [
      1,
      on(FILES, "F_ADD_SEALS", fc.constantFrom(...SEALS), ({ name }, seals, draft) =>
        draft.add(`fcntl($${name}, F_ADD_SEALS, ${seals}) = ?`),
      ),
    ],
    [
      1,
      on(FILES, "O_APPEND", fc.constantFrom("O_APPEND", "0"), ({ name }, flag, draft) =>
        draft.add(`fcntl($${name}, F_SETFL, ${flag}) = ?`),
      ),
    ],
    [
      2,
      onTwo(
        FILES,
        [...FILES, "pipe write"],
        "sendfile",
        fc.tuple(sizes, fc.constantFrom("NULL", "[0]", "[5]", "[4096]")),
        (from, to, [size, offset], draft) => draft.add(`sendfile($${to.name}, $${from.name}, ${offset}, ${size}) = ?`),
      ),
    ],
    [
      2,
      onTwo(
        ["pipe read"],
        FILES,
        "splice to a file",
        fc.tuple(sizes, fc.constantFrom("NULL", "[0]", "[5]")),
        (from, to, [size, offset], draft) =>
          draft.add(`splice($${from.name}, NULL, $${to.name}, ${offset}, ${size}, SPLICE_F_NONBLOCK) = ?`),
      ),
    ],
    [
      2,
      onTwo(
        FILES,
        ["pipe write"],
        "splice from a file",
        fc.tuple(sizes, fc.constantFrom("NULL", "[0]", "[4095]")),
        (from, to, [size, offset], draft) =>
          draft.add(`splice($${from.name}, ${offset}, $${to.name}, NULL, ${size}, SPLICE_F_NONBLOCK) = ?`),
      ),
    ],
    [
      1,
      on(["pipe read"], "read", sizes, ({ name }, size, draft) =>
        draft.add(`read($${name}, ${room(size)}, ${size}) = ?`),
      ),
    ],
  ],
};
