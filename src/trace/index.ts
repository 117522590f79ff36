/**
 * The language: strace text and NDJSON in and out.
 */
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
export { ParseError } from "./errors.ts";
export { LineParser, type ParseOptions, parseLine } from "./parser.ts";
export { type PrintOptions, printExpr, printLine, STRACE_WIDTH } from "./printer.ts";
export { decodeString, encodeString } from "./strings.ts";
export { IntValue, Stamp, StrValue } from "./values.ts";
