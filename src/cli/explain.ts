/**
 * `epollsim explain`: why did this call return this, or why did this descriptor not show up?
 */
import { type Command, InvalidArgumentError, Option } from "commander";
import { type Answer, Explainer, type Explanation } from "../analysis/explain/explain.ts";
import { mermaid } from "../analysis/explain/mermaid.ts";
import { Exit, UserError } from "./errors.ts";
import { answerText, explanationText } from "./explain-text.ts";
import type { Io } from "./io.ts";
import { type WorldOptions, wholeNumber, worldOptions } from "./options.ts";
import { filesProgress } from "./progress.ts";
import { follow, openTrace, type TraceKind } from "./traces.ts";

interface Options extends WorldOptions {
  readonly at?: number;
  readonly fd?: number;
  readonly ep?: number;
  readonly between?: readonly [number, number];
  readonly task?: string;
  readonly as?: TraceKind;
  readonly mermaid?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
The question:
  --at LINE                why did the call that begins or ends in this line return what it returned?
  --fd N [--between A B]   what happened to fd N in these lines, and why is it not reported at their end?
  --task T                 every wait for events of this task, one after the other; alone: of all tasks

A file with time stamps or pids is a recording, and is replayed; any other is a script, and runs on the model.

Examples:
  epollsim explain server.strace.gz --at 4711
  epollsim explain server.strace.gz --fd 7 --between 4000 4711
  epollsim explain script.strace --at 12 --mermaid > why.mmd
  epollsim explain script.strace --json | jq 'select(.ending == "time-out").answers'`;

/** Adds the command. */
export function explainCommand(program: Command, io: Io, finish: (code: number) => void): void {
  const command = program
    .command("explain")
    .summary("why did this call return this, or why did this descriptor not show up?")
    .description("Follows a trace with the model's causal log on, and tells what led to a result, line by line.")
    .argument("<trace>", "a script or a recording (.strace, .strace.gz), or - for standard input")
    .option("--at <line>", "explain the call of this line", wholeNumber(1))
    .option("--fd <n>", "explain what became of this descriptor", wholeNumber(0))
    .option("--ep <n>", "with --fd: only in this epoll", wholeNumber(0))
    .option("--between <lines...>", "with --fd: from this line to that one", lineRange)
    .option("--task <task>", "explain every wait of this task")
    .addOption(new Option("--as <kind>", "take the file for this").choices(["script", "recording"]))
    .option("--mermaid", "print a Mermaid sequence diagram")
    .option("--json", "one JSON object an explanation; see docs/json.md")
    .addHelpText("after", EXAMPLES);
  worldOptions(command).action(async (name: string, options: Options) => finish(await explain(name, options, io)));
}

function lineRange(text: string, before: readonly [number, number] | undefined): readonly [number, number] {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("Expected line numbers: the trace stands in front of --fd.");
  const line = wholeNumber(1)(text);
  return before === undefined ? [line, Number.MAX_SAFE_INTEGER] : [before[0], line];
}

async function explain(name: string, options: Options, io: Io): Promise<number> {
  checkQuestion(options);
  const bar = filesProgress(io, "traces", 1);
  const trace = await openTrace(name, options.as ?? null, bar.begin(name));
  const evidence = await follow(trace, options, options.at).finally(bar.stop);
  if (evidence.stopped !== null) io.err(`${trace.file}: ended early: ${evidence.stopped}\n`);
  const explainer = new Explainer(evidence);
  if (options.fd !== undefined)
    printAnswers(descriptorAnswers(explainer, trace.file, options), trace.file, options, io);
  else for (const explanation of asked(explainer, trace.file, options)) print(explanation, trace.file, options, io);
  return Exit.OK;
}

/** @throws UserError */
function checkQuestion({ at, fd, task, ep, between, mermaid: diagram, json }: Options): void {
  const questions = [at, fd, task].filter((question) => question !== undefined);
  if (questions.length > 1) throw new UserError("explain: more than one of --at, --fd and --task", "ask one question");
  if (fd === undefined && (ep !== undefined || between !== undefined)) {
    throw new UserError("explain: --ep or --between without --fd", "they narrow the question that --fd asks");
  }
  if (diagram && fd !== undefined)
    throw new UserError("explain: --mermaid with --fd", "a diagram shows one call: use --at");
  if (diagram && json) throw new UserError("explain: --mermaid and --json together", "choose one");
}

/** @throws UserError when no registration had the number. */
function descriptorAnswers(explainer: Explainer, file: string, { fd = 0, ep, between }: Options): Answer[] {
  const [from, to] = between ?? [1, Number.MAX_SAFE_INTEGER];
  const answers = explainer.descriptor(fd, from, to, ep ?? null);
  if (answers.length > 0) return answers;
  const where = between === undefined ? "" : ` between lines ${from} and ${to}`;
  throw new UserError(
    `${file}: fd ${fd} is registered with no epoll${where}`,
    "no EPOLL_CTL_ADD of it succeeded there",
  );
}

function* asked(explainer: Explainer, file: string, { at, task }: Options): Generator<Explanation, void, undefined> {
  const lines = at === undefined ? explainer.waits(task ?? null) : [at];
  for (const line of lines) {
    const explanation = explainer.call(line);
    if (explanation === null)
      throw new UserError(`${file}:${line}: no call begins or ends in this line`, "give a line that holds a call");
    yield explanation;
  }
  if (lines.length === 0)
    throw new UserError(
      `${file}: no wait for events${task === undefined ? "" : ` by task ${task}`}`,
      "ask about a call with --at LINE",
    );
}

function print(explanation: Explanation, file: string, options: Options, io: Io): void {
  if (options.json) io.out(`${JSON.stringify({ type: "explanation", file, ...explanation })}\n`);
  else if (options.mermaid) io.out(mermaid(explanation));
  else for (const line of explanationText(explanation, io.style)) io.out(`${line}\n`);
}

function printAnswers(answers: readonly Answer[], file: string, options: Options, io: Io): void {
  for (const answer of answers) {
    if (options.json) io.out(`${JSON.stringify({ type: "answer", file, ...answer })}\n`);
    else for (const line of answerText(answer, io.style)) io.out(`${line}\n`);
  }
}
