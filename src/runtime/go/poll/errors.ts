/**
 * Errors as values: a function that can fail gives one, or null.
 *
 * Counterpart: `error`, `io.EOF`, `internal/poll.ErrNetClosing`, `os.ErrDeadlineExceeded`, `syscall.Errno`.
 */
import { Errno, errnoName } from "../../../kernel/uapi/errno.ts";
import { PollError } from "../poll-desc.ts";

export class GoError {
  readonly text: string;
  /** `net.Error.Timeout()`. */
  readonly timeout: boolean;
  /** Positive errno of a `syscall.Errno`, else 0. */
  readonly errno: number;

  constructor(text: string, timeout = false, errno = 0) {
    this.text = text;
    this.timeout = timeout;
    this.errno = errno;
  }

  toString(): string {
    return this.text;
  }
}

export const EOF: GoError = new GoError("EOF");
export const ErrUnexpectedEOF: GoError = new GoError("unexpected EOF");
export const ErrClosed: GoError = new GoError("use of closed network connection");
export const ErrFileClosed: GoError = new GoError("file already closed");
export const ErrDeadlineExceeded: GoError = new GoError("i/o timeout", true);
export const ErrNotPollable: GoError = new GoError("not pollable");
export const ErrNoDeadline: GoError = new GoError("file type does not support deadline");

const texts: { readonly [errno: number]: string } = {
  [Errno.EPIPE]: "broken pipe",
  [Errno.ECONNRESET]: "connection reset by peer",
  [Errno.ECONNREFUSED]: "connection refused",
  [Errno.EADDRINUSE]: "address already in use",
  [Errno.EMFILE]: "too many open files",
  [Errno.ENOENT]: "no such file or directory",
  [Errno.EINVAL]: "invalid argument",
};

const byErrno = new Map<number, GoError>();

/** `syscall.Errno`: one value per number, so that two can be compared. @param errno - positive. */
export function errnoError(errno: number): GoError {
  let error = byErrno.get(errno);
  if (error === undefined) {
    error = new GoError(texts[errno] ?? errnoName(errno) ?? `errno ${errno}`, false, errno);
    byErrno.set(errno, error);
  }
  return error;
}

/** `convertErr`. */
export function convertErr(err: PollError, isFile: boolean): GoError | null {
  switch (err) {
    case PollError.NONE:
      return null;
    case PollError.CLOSING:
      return isFile ? ErrFileClosed : ErrClosed;
    case PollError.TIMEOUT:
      return ErrDeadlineExceeded;
    case PollError.NOT_POLLABLE:
      return ErrNotPollable;
  }
}
