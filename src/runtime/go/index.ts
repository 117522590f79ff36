/**
 * A Go-like runtime on the simulated system calls: goroutines, netpoll, channels, and the packages that servers are written with.
 */
export type { Chan, Received } from "./chan.ts";
export { Canceled, type Context, DeadlineExceeded } from "./context.ts";
export { type CostModel, defaultCosts } from "./cost.ts";
export { Goexit, GoFatal, GoPanic } from "./fatal.ts";
export { bytesOf, copy, copyN, LimitedReader, type Reader, readAll, readFull, textOf, type Writer } from "./io.ts";
export type { Network } from "./net/addr.ts";
export type { Conn } from "./net/conn.ts";
export type { Listener } from "./net/listener.ts";
export type { File } from "./os/file.ts";
export {
  EOF,
  ErrClosed,
  ErrDeadlineExceeded,
  ErrFileClosed,
  ErrNoDeadline,
  ErrNotPollable,
  GoError,
} from "./poll/errors.ts";
export type { Result } from "./poll/result.ts";
export { type GoMain, type GoOptions, goProgram, Runtime } from "./runtime.ts";
export { type Body, callback, type Go, type Op } from "./runtime2.ts";
export { RecvCase, type SelectCase, SendCase } from "./select.ts";
export { counterLines, type GoProcess, type GoValues, goOptions, spawnGo } from "./spawn.ts";
export { Stats } from "./stats.ts";
export type { Mutex } from "./sync/mutex.ts";
export type { Pool } from "./sync/pool.ts";
export type { RWMutex } from "./sync/rwmutex.ts";
export type { Cond, Once, WaitGroup } from "./sync/waitgroup.ts";
export type { FuncTimer, Ticker, Timer } from "./time.ts";
export { goVersions } from "./version.ts";
