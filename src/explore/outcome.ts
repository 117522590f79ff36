/**
 * Outcomes: what a race has come to, as one line of text. Two runs have the same outcome when nobody inside the program could
 * tell them apart: every call's result and output, who still sleeps, and what the lines behind the race saw.
 */
import type { PortResult, StepResult } from "../syscalls/port.ts";
import { paramTypes } from "../trace/abi/index.ts";
import type { Expr } from "../trace/ast.ts";
import { type CallRun, readRun } from "../trace/call-decoder.ts";
import { UNTOUCHED } from "../trace/encoder.ts";
import { fdinfoItems, latin1 } from "../trace/fdinfo.ts";
import { portable } from "../trace/freedom.ts";
import { printExpr } from "../trace/printer.ts";
import { render } from "../trace/render.ts";
import type { Lowered, QueryPlan } from "../trace/source-map.ts";

/** The outcome of a run, `B: epoll_wait 1 [{events=EPOLLIN, data=4}] | C: write 8, read asleep`; or why it ended early. */
export function outcomeText(lowered: Lowered, result: PortResult): string {
  if (result.end !== "done") return `${result.end}: ${result.reason}`;
  const parts = new Map<string, { index: number; words: string[] }>();
  const say = (index: number, task: number, text: string): void => {
    const name = lowered.tasks[task] ?? "A";
    const part = parts.get(name);
    if (part === undefined) parts.set(name, { index, words: [text] });
    else part.words.push(text);
  };
  const { raceStep } = lowered;
  if (raceStep === null) return "";
  const rows: { index: number; task: number; text: string }[] = [];
  readRun(lowered, result, {
    call: (run) => {
      const { plan } = run;
      if (plan.par || plan.callStep > raceStep) rows.push({ index: plan.line, task: plan.task, text: callText(run) });
    },
    query: (plan, step) => {
      if (plan.step > raceStep) rows.push({ index: plan.line, task: plan.task, text: queryText(plan, step) });
    },
  });
  rows.sort((a, b) => a.index - b.index);
  for (const { index, task, text } of rows) say(index, task, text);
  return [...parts].map(([name, { words }]) => `${name}: ${words.join(", ")}`).join(" | ");
}

function callText(run: CallRun): string {
  const { plan, decoder } = run;
  const { name } = plan.signature;
  if (!run.entered) return `${name} never`;
  const types = paramTypes(plan.signature, (index) => decoder.arg(index));
  const answer = portable(
    run,
    render(run),
    types.map((type) => type.output),
  );
  if (decoder.ret === null) return `${name} asleep`;
  const outputs = decoder.ret < 0 ? [] : answer.args.filter((arg) => arg !== null).filter(isContent);
  const words = [...outputs, ...(answer.output === null ? [] : [answer.output])].map(shortText);
  return [name, answer.result, ...words].join(" ");
}

/** Content, not an address that the caller gave. */
function isContent(arg: Expr): boolean {
  return arg.kind === "array" || arg.kind === "struct" || arg.kind === "str" || arg.kind === "set";
}

/** `data={u32=4, u64=4}` says the same twice. */
function shortText(arg: Expr): string {
  return printExpr(arg).replace(/data=\{u32=(\d+), u64=\1\}/gu, "data=$1");
}

function queryText(plan: QueryPlan, step: StepResult | null): string {
  const name = `${plan.name}(${plan.args.map(printExpr).join(", ")})`;
  if (step === null) return `${name} ?`;
  if (plan.name === "blocked") return `${name} ${step.ret === null ? 1 : 0}`;
  if (!plan.name.startsWith("fdinfo")) return `${name} ${step.bytes === null ? step.ret : latin1(step.bytes)}`;
  if (step.bytes === null) return `${name} EBADF`;
  const listed = fdinfoItems(latin1(step.bytes));
  if (plan.name === "fdinfo_order") return `${name} [${listed.map(({ tfd }) => tfd).join(" ")}]`;
  const items = listed.map(({ tfd, events, data }) => `${tfd}:0x${events.toString(16)}:${data}`);
  return `${name} [${items.sort().join(" ")}]`;
}

/** A cheap name for a result: equal names, equal outcomes. */
export function resultKey(lowered: Lowered, result: PortResult): string {
  if (result.end !== "done") return `${result.end} ${result.reason}`;
  const { steps } = result;
  let key = "";
  for (let i = lowered.raceStep ?? 0; i < steps.length; i += 1) {
    const { ret, bytes } = steps[i] as StepResult;
    key += ret === null ? "z," : `${ret},`;
    if (bytes !== null) key += bytesKey(bytes);
  }
  return key;
}

/** Without the filler at their end: how long they are is the same in every run. */
function bytesKey(bytes: Uint8Array): string {
  let length = Math.min(bytes.length, KEY_BYTES_MAX);
  if (length === bytes.length) while (length > 0 && bytes[length - 1] === UNTOUCHED) length -= 1;
  const key = String.fromCharCode(...bytes.subarray(0, length));
  return `${length}:${key}${bytes.length > KEY_BYTES_MAX ? bytes.subarray(KEY_BYTES_MAX).join(" ") : ""}`;
}

/** Longer memories are not spread on the stack. */
const KEY_BYTES_MAX = 4096;
