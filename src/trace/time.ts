/**
 * One time scale for the three forms of time stamps.
 */
import type { TimeStamp } from "./ast.ts";

const DAY_SECONDS = 86_400;

/**
 * Nanoseconds since the first time stamp of a trace, as a number (exact for 104 days). Every stamp of the trace has to be shown
 * to it, in order: a relative stamp counts from the one before, and a clock that jumps back by half a day has passed midnight.
 */
export class TraceClock {
  #startSeconds = 0;
  #startNanos = 0;
  #started = false;
  #day = 0;
  #lastSeconds = 0;
  #sumNs = 0;

  /** When this stamp's line was printed. Negative for a line that overtook the first one. */
  at(time: TimeStamp): number {
    if (time.form === "relative") {
      this.#sumNs += time.seconds * 1e9 + time.nanos;
      return this.#sumNs;
    }
    const seconds = time.form === "clock" ? this.#sinceFirstMidnight(time.seconds) : time.seconds;
    if (!this.#started) {
      this.#started = true;
      this.#startSeconds = seconds;
      this.#startNanos = time.nanos;
    }
    return (seconds - this.#startSeconds) * 1e9 + (time.nanos - this.#startNanos);
  }

  #sinceFirstMidnight(seconds: number): number {
    const jump = seconds - this.#lastSeconds;
    if (this.#started && jump < -DAY_SECONDS / 2) this.#day += DAY_SECONDS;
    // a line that overtook the first one of the new day
    if (this.#started && jump > DAY_SECONDS / 2 && this.#day > 0) this.#day -= DAY_SECONDS;
    this.#lastSeconds = seconds;
    return this.#day + seconds;
  }
}
