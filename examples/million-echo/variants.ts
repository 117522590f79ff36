/** The servers that can hold the million: each started as a daemon, with what it reports. */
import type { Machine } from "epollsim/runtime";
import { goroutineServer } from "./goroutine-server.ts";
import { reactorServer } from "./reactor-server.ts";

export interface ServerFigures {
  accepted: number;
  bytes: number;
  /** Idle time-outs that run now. */
  idleTimers: number;
  idleClosed: number;
}

export interface ServerOptions {
  readonly port: number;
  /** After so long without a byte a connection is closed. */
  readonly idleMs: number;
  /** Descriptors that the process needs. */
  readonly nofile: number;
}

export interface Variant {
  /** Of heap, for both ends; with room for garbage. */
  readonly bytesPerConnection: number;
  readonly start: (box: Machine, figures: ServerFigures, options: ServerOptions) => void;
}

export const variants: Readonly<Record<string, Variant>> = {
  reactor: {
    bytesPerConnection: 3600,
    start: (box, figures, options) => {
      box.spawn("server", (sys) => reactorServer(sys, figures, options), { daemon: true, nofile: options.nofile });
    },
  },
  goroutines: {
    bytesPerConnection: 6000,
    start: (box, figures, options) => {
      box.spawn("server", goroutineServer(figures, options), { daemon: true, nofile: options.nofile });
    },
  },
};
