/**
 * inotify on a small tree: watches come and go, files are made, opened, written, truncated, closed and removed. Instances that
 * watch the same file are told in the order of their addresses.
 */
import fc from "fast-check";
import type { Draft } from "../command.ts";
import type { Kind, KnownState } from "../known-state.ts";
import { everyFile } from "./every-file.ts";
import { data, type Family, install, on, opens } from "./family.ts";

const KIND: readonly Kind[] = ["inotify"];
const FILES: readonly Kind[] = ["regular"];
const PATHS = ["dir/a", "dir/name-of-16-bytes", "b", "dir/sub/c"];
const WATCHED = ["dir", "dir/a", "b", "dir/sub", "gone"];
const MASKS = [
  "0xfff",
  "IN_MODIFY",
  "IN_CREATE|IN_DELETE",
  "IN_OPEN|IN_CLOSE_WRITE",
  "IN_CLOSE_NOWRITE|IN_ACCESS",
  "IN_DELETE_SELF|IN_ATTRIB",
  "IN_MODIFY|IN_ONESHOT",
  "IN_MODIFY|IN_MASK_ADD",
  "0xfff|IN_ONLYDIR",
  "0xfff|IN_EXCL_UNLINK",
  "IN_MODIFY|IN_MASK_CREATE",
  "0",
];

function open(known: KnownState, draft: Draft): void {
  const { name } = install(known, "i", "inotify");
  draft.add(`inotify_init1(IN_NONBLOCK) = $${name}`);
}

/** inotify. */
export const inotify: Family = {
  name: "inotify",
  apart: true,
  open: (known, draft, variant) => {
    draft.add('mkdir("dir", 0700) = ?');
    open(known, draft);
    if (variant % 3 === 0) open(known, draft);
    draft.add(
      `inotify_add_watch($${known.ofKind("inotify")[0]!.name}, "dir", ${variant % 2 === 0 ? "0xfff" : "IN_CREATE|IN_DELETE"}) = ?`,
    );
  },
  commands: [
    ...everyFile,
    [1, opens("inotify_init1", fc.constant(null), (_none, draft, known) => open(known, draft))],
    [
      5,
      on(
        KIND,
        "inotify_add_watch",
        fc.tuple(fc.constantFrom(...WATCHED), fc.constantFrom(...MASKS)),
        ({ name }, [path, mask], draft) => draft.add(`inotify_add_watch($${name}, "${path}", ${mask}) = ?`),
      ),
    ],
    [
      2,
      on(KIND, "inotify_rm_watch", fc.integer({ min: 1, max: 6 }), ({ name }, wd, draft) =>
        draft.add(`inotify_rm_watch($${name}, ${wd}) = ?`),
      ),
    ],
    [
      5,
      on(KIND, "read", fc.constantFrom(4096, 4096, 16, 32, 48, 15, 64), ({ name }, length, draft) =>
        draft.add(`read($${name}, ?, ${length}) = ?`),
      ),
    ],
    [
      2,
      on(KIND, "FIONREAD", fc.constant(null), ({ name }, _none, draft) =>
        draft.add(`ioctl($${name}, FIONREAD, ?) = ?`),
      ),
    ],
    [
      5,
      opens(
        "open",
        fc.tuple(fc.constantFrom(...PATHS), fc.constantFrom("O_RDWR|O_CREAT, 0600", "O_RDONLY", "O_WRONLY|O_TRUNC")),
        ([path, how], draft, known) => {
          const { name } = install(known, "o", "regular");
          draft.add(`open("${path}", ${how}) = $${name}`);
        },
      ),
    ],
    [
      4,
      on(FILES, "write", fc.constantFrom(0, 1, 10), ({ name }, size, draft, known) =>
        draft.add(`write($${name}, ${data(size, known.token())}, ${size}) = ?`),
      ),
    ],
    [
      2,
      on(FILES, "read", fc.constantFrom(0, 1, 10), ({ name }, size, draft) =>
        draft.add(`read($${name}, ?, ${size}) = ?`),
      ),
    ],
    [
      2,
      on(FILES, "ftruncate", fc.constantFrom(0, 5), ({ name }, size, draft) =>
        draft.add(`ftruncate($${name}, ${size}) = ?`),
      ),
    ],
    [
      1,
      on(FILES, "fchmod", fc.constantFrom("0600", "0644"), ({ name }, mode, draft) =>
        draft.add(`fchmod($${name}, ${mode}) = ?`),
      ),
    ],
    [3, opens("unlink", fc.constantFrom(...PATHS), (path, draft) => draft.add(`unlink("${path}") = ?`))],
    [1, opens("mkdir", fc.constantFrom("dir/sub", "dir"), (path, draft) => draft.add(`mkdir("${path}", 0700) = ?`))],
    [
      1,
      opens("rmdir", fc.constantFrom("dir/sub", "dir"), (path, draft) =>
        draft.add(`unlinkat(AT_FDCWD, "${path}", AT_REMOVEDIR) = ?`),
      ),
    ],
  ],
};
