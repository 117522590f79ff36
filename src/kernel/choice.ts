/**
 * The one door for chance.
 *
 * Counterpart: none; Linux's freedom (which task runs, how much of a buffer fits) is decided here and nowhere else.
 */

export interface Chooser {
  /**
   * Picks one of `count` permitted outcomes.
   *
   * @param site - names the decision ("runqueue", "tcp.sndbuf") in a recorded schedule.
   * @param count - number of outcomes, at least 1.
   * @param among - the objects that it is about, for who knows more of them: one for each outcome.
   * @returns an index in `[0, count)`.
   */
  choose(site: string, count: number, among?: readonly object[]): number;
}

/** Always the first outcome: runnable tasks go in the order in which they became runnable. */
export const firstChoice: Chooser = { choose: () => 0 };

/** @param random - a generator of numbers in `[0, 1)`, such as a seedrandom instance. */
export function seededChoice(random: () => number): Chooser {
  return { choose: (_site, count) => (count === 1 ? 0 : Math.floor(random() * count)) };
}
