/**
 * The language: strace text and NDJSON in and out.
 */
export { decodeEvents, type EventValue, evalBig, evalInt, evalUint32, type Variables } from "./abi/evaluate.ts";
export { type Signature, signature, signatureNames } from "./abi/index.ts";
export type {
  ArrayExpr,
  AtExpr,
  BlankLine,
  CallExpr,
  CallLine,
  ChangeExpr,
  CommentLine,
  DirectiveLine,
  EllipsisExpr,
  ExitLine,
  Expr,
  IntExpr,
  Line,
  NamedExpr,
  NoteLine,
  OpExpr,
  PartExpr,
  RawExpr,
  Result,
  ResumedLine,
  SetExpr,
  SignalLine,
  StrExpr,
  StructExpr,
  SymExpr,
  TimeStamp,
  VarExpr,
} from "./ast.ts";
export { matches } from "./compare.ts";
export { ParseError } from "./errors.ts";
export { type ExprJson, exprToJson, type Json, type LineJson, lineToJson, parseJson, printJson } from "./json.ts";
export { LINE_BYTES_MAX, LineSplitter, type SplitOptions } from "./lines.ts";
export { type LiveClock, type LiveMemory, LiveTrace } from "./live.ts";
export { type LowerOptions, lower } from "./lower.ts";
export { type Comparison, type Outcome, outcome } from "./outcome.ts";
export { CallJoiner, type CallPhase, CallRecord, joinArgs } from "./pairs.ts";
export { LineParser, type ParseOptions, parseLine } from "./parser.ts";
export { type PrintOptions, printExpr, printLine, printStamp, STRACE_WIDTH } from "./printer.ts";
export { parseText, type ReadOptions, readBatches, readLines, TraceReader } from "./reader.ts";
export { compareRuns, type RunDifference } from "./run-diff.ts";
export { EXPANDED_LINES_MAX, kernelFits, parseScript, type Script, type ScriptLine } from "./script.ts";
export type { CallPlan, DumpPlan, Lowered, Plan, QueryPlan } from "./source-map.ts";
export { decodeString, encodeString } from "./strings.ts";
export { TraceClock } from "./time.ts";
export { IntValue, Stamp, StrValue } from "./values.ts";
