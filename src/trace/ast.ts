/**
 * The language as data: what one line of strace text says.
 *
 * An `Expr` keeps what a reader needs to print the same text again, not what the value means to a call; meaning comes
 * from the call's signature (src/trace/abi).
 */

/** An argument, a field, a result. */
export type Expr =
  | IntExpr
  | SymExpr
  | StrExpr
  | ArrayExpr
  | SetExpr
  | StructExpr
  | OpExpr
  | CallExpr
  | NamedExpr
  | ChangeExpr
  | VarExpr
  | AtExpr
  | EllipsisExpr
  | PartExpr
  | RawExpr;

/**
 * `-1`, `0x7ffd`, `0600`. `note` is the `-y` decoration without its brackets, escapes as printed: `3<pipe:[17]>` has note
 * `pipe:[17]`; a deleted path ends in ` (deleted)`, as in /proc/PID/fd.
 *
 * Made by `IntValue` (values.ts), which creates the bigint only when somebody asks for it.
 */
export interface IntExpr {
  readonly kind: "int";
  readonly value: bigint;
  /** `value` as a number: exact up to 2^53, the nearest double beyond. */
  readonly num: number;
  readonly base: 8 | 10 | 16;
  readonly note: string | null;
}

/**
 * A symbol: `EPOLLIN`, `NULL`, `AT_FDCWD` (which may carry a note too), `?`, `&sin6_addr`, and restart_syscall's
 * `<... resuming interrupted poll ...>`.
 */
export interface SymExpr {
  readonly kind: "sym";
  readonly name: string;
  readonly note: string | null;
}

/** `"bytes"` or `"bytes"...`: when truncated, more bytes followed that the trace does not hold. */
export interface StrExpr {
  readonly kind: "str";
  readonly bytes: Uint8Array;
  readonly truncated: boolean;
}

/** `[a, b]`, `[a, b, ...]`. Elements may be `NamedExpr` with an index, as in `[[0]=1]` forms. */
export interface ArrayExpr {
  readonly kind: "array";
  readonly items: readonly Expr[];
}

/** `[HUP INT]`, `~[USR1]`: a set written with blanks; `[]` parses as an empty array. */
export interface SetExpr {
  readonly kind: "set";
  readonly items: readonly Expr[];
  readonly negated: boolean;
}

/** `{events=EPOLLIN, data={u32=1, u64=1}}`, `{EPOLLIN, {u32=1, u64=1}}`, `{...}`. */
export interface StructExpr {
  readonly kind: "struct";
  readonly fields: readonly Expr[];
}

/**
 * `A|B`, `8192*1024`, `1<<CAP_X`, `RTMIN + 1`, `WIFEXITED(s) && WEXITSTATUS(s) == 0`: one operator, two or more operands;
 * with one operand a prefix (`-ENOENT`, `~X`). The operator ` ` is words side by side (`{B38400 opost isig ...}`).
 */
export interface OpExpr {
  readonly kind: "op";
  readonly op: string;
  readonly items: readonly Expr[];
}

/** `htons(80)`, `makedev(0x1, 0x3)`, `inet_addr("127.0.0.1")`. */
export interface CallExpr {
  readonly kind: "call";
  readonly name: string;
  readonly args: readonly Expr[];
}

/** `events=EPOLLIN` inside a struct, `flags=CLONE_VM` as an argument, `[3]=x` as an element (name `[3]`). */
export interface NamedExpr {
  readonly kind: "named";
  readonly name: string;
  readonly value: Expr;
}

/** `{before => after}`, `[16 => 2]`: an argument that the call changed. The brackets are part of `from`'s form. */
export interface ChangeExpr {
  readonly kind: "change";
  readonly from: Expr | null;
  readonly to: Expr;
  readonly brackets: "[]" | "{}" | "";
}

/** `$ep`: a name bound by a result, `$e{i}` inside a loop. */
export interface VarExpr {
  readonly kind: "var";
  readonly name: string;
}

/**
 * `@edge-24`, `@bad`, `@ro`, `@kernel`, `@frozen`, `@odd`: an address of the script's user memory, alone or with content
 * placed there: `@edge-24:[{...}]`. With an empty place it is an abstract unix address, `sun_path=@"name"`, whose content
 * is the string.
 */
export interface AtExpr {
  readonly kind: "at";
  readonly place: string;
  readonly offset: number;
  readonly content: Expr | null;
}

/** `...` in an array or a struct. */
export interface EllipsisExpr {
  readonly kind: "ellipsis";
}

/**
 * One side of a struct or array that the tracer cut in two: `io_uring_setup(4, {flags=0 <unfinished ...>` has a `head`,
 * its resumed line `, sq_entries=4})` a `tail`. `joinArgs` (pairs.ts) puts them together.
 */
export interface PartExpr {
  readonly kind: "part";
  readonly side: "head" | "tail";
  readonly brackets: "{}" | "[]";
  readonly items: readonly Expr[];
}

/** Text in a form that the grammar does not know, kept as it stands. The parser makes one only when told to be lenient. */
export interface RawExpr {
  readonly kind: "raw";
  readonly text: string;
}

/** What stands behind ` = `. */
export interface Result {
  /** `?` is a `SymExpr`; a permitted set `{1 | 0}` lists its members here; otherwise one member. */
  readonly values: readonly Expr[];
  /** `EBADF`, `ERESTARTSYS`; null on success. One per member of `values`. */
  readonly errnos: readonly (string | null)[];
  /**
   * The words in brackets behind the value, without the brackets: an errno's sentence, `Timeout`, `in [3], left {...}`.
   * The marks `<blocked>` and `<unavailable>` keep their own brackets.
   */
  readonly text: string | null;
  /**
   * `text` as data where it holds further output arguments, always as a struct: `([{fd=3, revents=POLLIN}], left {...})`
   * is a positional array and a field `left`; `(in [3])` a field `in`; `(flags O_RDWR)` a field `flags`.
   */
  readonly output: StructExpr | null;
}

/**
 * A time stamp as printed. It counts from its own origin: the epoch, midnight, or (`relative`) the line before;
 * `TraceClock` (time.ts) makes one scale of the three. Made by `Stamp` (values.ts).
 */
export interface TimeStamp {
  readonly ns: bigint;
  /** Whole seconds of `ns`. */
  readonly seconds: number;
  /** The rest of `ns`, 0 to 999999999. */
  readonly nanos: number;
  readonly form: "unix" | "clock" | "relative";
  /** Digits behind the point: 0, 3, 6 or 9. */
  readonly digits: number;
}

interface LineBase {
  /** 1-based line in the file. */
  readonly line: number;
  /** First column: a pid as text or a name; null when the file has none. */
  readonly task: string | null;
  readonly time: TimeStamp | null;
}

/**
 * A whole call, or its first half (`unfinished`). An unfinished call with a result will not be resumed: its task died inside
 * the call (`<unfinished ...>) = ?`) or, when the result's text is `<blocked>`, is expected to sleep there to the end.
 */
export interface CallLine extends LineBase {
  readonly type: "call";
  readonly name: string;
  readonly args: readonly Expr[];
  readonly unfinished: boolean;
  readonly result: Result | null;
  readonly durationNs: number | null;
}

/** `<... name resumed>rest) = result`. */
export interface ResumedLine extends LineBase {
  readonly type: "resumed";
  readonly name: string;
  readonly args: readonly Expr[];
  readonly result: Result | null;
  readonly durationNs: number | null;
}

/** `--- SIGCHLD {si_signo=...} ---`, `--- stopped by SIGSTOP ---` (info null, stopped true). */
export interface SignalLine extends LineBase {
  readonly type: "signal";
  readonly signal: string;
  readonly info: Expr | null;
  readonly stopped: boolean;
}

/**
 * `+++ exited with 0 +++`, `+++ killed by SIGKILL (core dumped) +++`, `+++ superseded by execve in pid 7 +++`.
 * `status` is the exit status, or that pid, or 0.
 */
export interface ExitLine extends LineBase {
  readonly type: "exit";
  readonly how: "exited" | "killed" | "superseded";
  readonly status: number;
  readonly signal: string | null;
  readonly core: boolean;
}

/** `strace: Process 12 attached`, `strace: Process 12 detached`, a stack frame (`-k`), a dump (`-e read`): lines by strace itself. */
export interface NoteLine extends LineBase {
  readonly type: "note";
  readonly text: string;
}

/** `#! kernel >= 5.5`: word and the rest. */
export interface DirectiveLine extends LineBase {
  readonly type: "directive";
  readonly word: string;
  readonly rest: string;
}

/** `# text`: everything behind the `#`, blanks included. */
export interface CommentLine extends LineBase {
  readonly type: "comment";
  readonly text: string;
}

export interface BlankLine extends LineBase {
  readonly type: "blank";
}

export type Line = CallLine | ResumedLine | SignalLine | ExitLine | NoteLine | DirectiveLine | CommentLine | BlankLine;
