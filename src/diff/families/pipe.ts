/**
 * Pipes: slots, merging, packets, sizes, splice and its kin.
 */
import fc from "fast-check";
import { UserLayout } from "../../syscalls/port.ts";
import type { Draft } from "../command.ts";
import type { Descriptor, Kind, KnownState } from "../known-state.ts";
import { drainCommand, everyFile, readCommand } from "./every-file.ts";
import {
  data,
  type Family,
  installPair,
  iovecRoom,
  iovecsOf,
  none,
  on,
  onTwo,
  opens,
  sizesAround,
  type Weighted,
} from "./family.ts";

/** Around a byte, a page, a few pages and a whole ring. */
const pipeSizes: readonly number[] = [
  0, 1, 1, 2, 3, 5, 100, 511, 512, 1000, 2048, 2049, 4000, 4095, 4096, 4097, 4098, 5000, 8191, 8192, 8193, 10000, 12288,
  20000, 61440, 65535, 65536, 65537, 100000,
];
const size = sizesAround(pipeSizes);
const small = fc.constantFrom(1, 2, 100, 4095, 4096, 4097);
const WRITE: readonly Kind[] = ["pipe write"];
const READ: readonly Kind[] = ["pipe read"];

function openPipe(known: KnownState, draft: Draft, flags: string): void {
  const [r, w] = installPair(known, ["r", "w"], ["pipe read", "pipe write"]);
  draft.add(`pipe2([$${r.name}, $${w.name}], ${flags}) = ?`);
}

/** Memory that nothing else in a script uses: a pipe may show what is written to spliced memory later. */
function untouched(sizes: readonly number[]): string {
  const at = (index: number): string => `0x${(UserLayout.edge + 2 * index * UserLayout.pageSize).toString(16)}`;
  return `[${sizes.map((size, index) => `{iov_base=${at(index)}, iov_len=${size}}`).join(", ")}]`;
}

function write({ name }: Descriptor, count: number, draft: Draft, known: KnownState): void {
  draft.add(`write($${name}, ${data(count, known.token())}, ${count}) = ?`);
}

/** What goes into files of pipe ends and comes out of them: FIFOs have these too. */
export function pipeCommands(read: readonly Kind[], wr: readonly Kind[]): readonly Weighted[] {
  return [
    [6, on(wr, "write", size, write)],
    [6, readCommand(read, pipeSizes)],
    [1, drainCommand(read)],
    [
      2,
      on(wr, "fill", fc.constantFrom(4096, 4096, 1000, 5000), (target, count, draft, known) => {
        for (let i = 0; i < 17; i += 1) write(target, count, draft, known);
      }),
    ],
    [
      2,
      on(wr, "writev", fc.array(size, { minLength: 1, maxLength: 3 }), ({ name }, sizes, draft, known) =>
        draft.add(`writev($${name}, ${iovecsOf(sizes, known.token())}, ${sizes.length}) = ?`),
      ),
    ],
    [
      2,
      on(read, "readv", fc.array(size, { minLength: 1, maxLength: 3 }), ({ name }, sizes, draft) =>
        draft.add(`readv($${name}, ${iovecRoom(sizes)}, ${sizes.length}) = ?`),
      ),
    ],
    [
      3,
      on(
        [...read, ...wr],
        "F_SETPIPE_SZ",
        fc.constantFrom(0, 1, 4096, 4097, 8192, 12288, 16384, 32768, 65536, 65537, 131072, 1048576),
        ({ name }, bytes, draft) => draft.add(`fcntl($${name}, F_SETPIPE_SZ, ${bytes}) = ?`),
      ),
    ],
    [
      2,
      on(wr, "packet mode", fc.constantFrom("", "|O_DIRECT", "|O_DIRECT"), ({ name }, flag, draft) =>
        draft.add(`fcntl($${name}, F_SETFL, O_NONBLOCK${flag}) = ?`),
      ),
    ],
    [
      2,
      on([...read, ...wr], "FIONREAD", none, ({ name }, _none, draft) => draft.add(`ioctl($${name}, FIONREAD, ?) = ?`)),
    ],
    [1, on([...read, ...wr], "wrong end", none, ({ name }, _none, draft) => draft.add(`write($${name}, "x", 1) = ?`))],
    [1, on([...read, ...wr], "wrong end", none, ({ name }, _none, draft) => draft.add(`read($${name}, ?, 1) = ?`))],
    [
      1,
      on(
        wr,
        "write from a bad address",
        fc.constantFrom("@bad, 1", "@bad, 5000", "@edge-2, 4", "@edge-4096, 5000"),
        ({ name }, from, draft) => draft.add(`write($${name}, ${from}) = ?`),
      ),
    ],
    [
      1,
      on(read, "read to a bad address", fc.constantFrom("@bad, 1", "@edge-2, 4", "@ro, 8"), ({ name }, to, draft) =>
        draft.add(`read($${name}, ${to}) = ?`),
      ),
    ],
    [
      3,
      onTwo(read, wr, "splice", size, (from, to, count, draft) =>
        draft.add(`splice($${from.name}, NULL, $${to.name}, NULL, ${count}, SPLICE_F_NONBLOCK) = ?`),
      ),
    ],
    [
      2,
      onTwo(read, wr, "tee", size, (from, to, count, draft) =>
        draft.add(`tee($${from.name}, $${to.name}, ${count}, SPLICE_F_NONBLOCK) = ?`),
      ),
    ],
    [
      1,
      on(wr, "vmsplice", fc.array(small, { minLength: 1, maxLength: 3 }), ({ name }, sizes, draft) =>
        draft.add(`vmsplice($${name}, ${untouched(sizes)}, ${sizes.length}, SPLICE_F_NONBLOCK) = ?`),
      ),
    ],
    [
      1,
      on(read, "vmsplice out", small, ({ name }, count, draft) =>
        draft.add(`vmsplice($${name}, [{iov_base=?, iov_len=${count}}], 1, SPLICE_F_NONBLOCK) = ?`),
      ),
    ],
  ];
}

const newPipe = opens(
  "pipe2",
  fc.constantFrom("O_NONBLOCK", "O_NONBLOCK", "O_NONBLOCK|O_DIRECT"),
  (flags, draft, known) => openPipe(known, draft, flags),
);

/** Pipes. */
export const pipe: Family = {
  name: "pipe",
  open: (known, draft, variant) => {
    openPipe(known, draft, variant % 3 === 0 ? "O_NONBLOCK|O_DIRECT" : "O_NONBLOCK");
    if (variant % 2 === 0) openPipe(known, draft, "O_NONBLOCK");
  },
  commands: [...everyFile, [1, newPipe], ...pipeCommands(READ, WRITE)],
};
