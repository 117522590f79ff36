/**
 * Kinds of divergence: how often something differs matters less than how many different things do.
 */
import type { Divergence, ScriptReport } from "./report.ts";

/** Not one where both worlds contradict the script alike. */
export function isBetweenWorlds({ model, target }: Divergence): boolean {
  return model !== target;
}

/** Two divergences of one kind are most likely one defect. */
export function kindOf({ call, field, model, target }: Divergence): string {
  const values = field === "result" && call !== "fdinfo" ? [shape(model), shape(target)] : [];
  return [family(call), field, ...values].join(" / ");
}

/** The kinds of a report, in the order of their first appearance. */
export function kindsOf({ divergences }: ScriptReport): string[] {
  return [...new Set(divergences.filter(isBetweenWorlds).map(kindOf))];
}

/** The three ways to wait do the same. */
function family(call: string): string {
  return call.replace(/^epoll_p?wait2?$/, "epoll_wait");
}

/** A result without its number. */
function shape(text: string | null): string {
  return text === null ? "" : text.replace(/0x[0-9a-f]+|\d+/g, "N");
}

/** Whether the script did not get to its end in one of the worlds, because somebody sleeps. */
export function sleepsForEver({ divergences }: ScriptReport): boolean {
  return divergences.some(({ field, model, target }) =>
    [model, target].some((answer) => field === "end" && answer?.startsWith("timeout")),
  );
}
