/**
 * An explanation as a Mermaid sequence diagram: tasks, epolls and the outside world are the participants.
 */
import { epollEvents } from "../../trace/abi/symbols.ts";
import { printExpr } from "../../trace/printer.ts";
import type { Answer, Explanation } from "./explain.ts";
import type { Fact } from "./facts.ts";

/** The diagram's text. */
export function mermaid({ task, call, line, answers, wakings, effects }: Explanation): string {
  const facts = new Map<number, Fact>();
  for (const part of [...answers, ...wakings]) for (const fact of part.facts) facts.set(fact.id, fact);
  for (const fact of effects) facts.set(fact.id, fact);
  const ordered = [...facts.values()].sort((a, b) => a.id - b.id);
  const lines = ordered.map((fact) => arrow(fact)).filter((text) => text !== null);
  const asker = actor(task);
  const end = answers.map((answer) => `  Note over ${asker}: ${verdictText(answer)}`);
  const head = ["sequenceDiagram", `  participant ${asker}`];
  return `${[...head, ...lines, `  Note over ${asker}: line ${line}: ${call}`, ...end].join("\n")}\n`;
}

function verdictText({ fd, verdict }: Answer): string {
  return `fd ${fd}: ${verdict}`;
}

/** Names of participants take letters, digits and underscores. */
function actor(task: string | null): string {
  return task === null ? "task" : `t_${task.replaceAll(/\W/g, "_")}`;
}

function source({ what, task }: Fact): string {
  if (what === "timer") return "clock";
  if (what === "outside") return "outside";
  return actor(task);
}

function arrow(fact: Fact): string | null {
  const { what, fd, ep, mask, amount, line, why, list, whom, call } = fact;
  const from = source(fact);
  const at = line > 0 ? `line ${line}: ` : "";
  const file = fd === null ? "file" : `fd_${fd}`;
  const epoll = ep === null ? "epoll" : `epoll_${ep}`;
  switch (what) {
    case "bytes":
      return `  ${from}->>queue: ${at}${call ?? what} puts ${amount}`;
    case "taken":
      return `  queue->>${from}: ${at}${call ?? what} takes ${amount}`;
    case "wake":
      return `  ${from}->>${file}: ${at}wakes with ${words(mask)}`;
    case "queued":
      return `  ${file}->>${epoll}: ${at}joins ${list} (${why})`;
    case "filtered":
      return `  ${file}--x${epoll}: ${at}${words(mask)} not taken (${why})`;
    case "delivered":
      return `  ${epoll}->>${from}: ${at}reports ${words(mask)} for ${fd}`;
    case "dropped":
      return `  ${epoll}--x${from}: ${at}${fd} is no longer ready`;
    case "disarmed":
      return `  Note over ${epoll}: ${at}${fd} is disarmed`;
    case "inserted":
    case "modified":
      return `  ${from}->>${epoll}: ${at}${what === "inserted" ? "watches" : "changes"} ${fd} for ${words(mask)}`;
    case "erased":
      return `  ${from}->>${epoll}: ${at}${fd} leaves (${why})`;
    case "woken":
      return `  ${epoll}->>${actor(whom)}: ${at}wakes`;
    case "timer":
      return "  Note over clock: time is up";
    default:
      return null;
  }
}

/** A mask in words; a comma would end the text of an arrow in some renderers, a bar does not. */
function words(mask: number | null): string {
  return mask === null || mask === 0 ? "no key" : printExpr(epollEvents.printFlags(BigInt(mask)));
}
