/** timersleep: timers only, beside one idle listener. As traces/go/src/timersleep.go. */
import { counterLines, type GoMain, goOptions, RecvCase, spawnGo } from "epollsim/go";
import { defineProgram } from "epollsim/runtime";

const US = 1_000;
const MS = 1_000_000;

/** `fmt.Println` of a time.Duration below a second. */
function duration(ns: number): string {
  return ns < MS ? `${ns / US}µs` : `${ns / MS}ms`;
}

export const timersleep: GoMain = function* main(rt) {
  const listen = yield* rt.listen("tcp4", "127.0.0.1:0");
  if (listen.err !== null) return rt.panic(listen.err.text);
  const ln = listen.value;
  rt.go("main.main.func1", function* () {
    yield* ln.accept();
  });

  for (const d of [200 * US, 900 * US, 1500 * US, 5 * MS, 12_345 * US]) {
    const t0 = rt.now();
    yield* rt.sleep(d);
    yield* rt.println(`sleep ${duration(d)} ok ${rt.now() - t0 >= d}`);
  }
  const wg = rt.waitGroup();
  for (let i = 1; i <= 20; i += 1) {
    wg.add(1);
    rt.go("main.main.func2", function* () {
      yield* rt.sleep(i * MS);
      wg.done();
    });
  }
  yield* wg.wait();
  const tk = rt.newTicker(3 * MS);
  for (let i = 0; i < 5; i += 1) yield* tk.c.recv();
  tk.stop();
  const fired = rt.chan<number>(4);
  rt.afterFunc(4 * MS, "main.main.func3", () => fired.send(1)[Symbol.iterator]());
  const x = rt.afterFunc(2 * MS, "main.main.func4", () => fired.send(2)[Symbol.iterator]());
  yield* rt.println(`stopped ${x.stop()}`);
  yield* rt.println(`fired ${yield* fired.recv()}`);
  const ctx = rt.background.withTimeout(7 * MS);
  yield* (ctx.done as NonNullable<typeof ctx.done>).recv();
  yield* rt.println(`${ctx.err}`);
  const chosen = yield* rt.select([new RecvCase(fired), new RecvCase(rt.after(6 * MS))]);
  yield* rt.println(chosen === 0 ? "unexpected" : "select timeout");
  yield* ln.close();
  ctx.cancel();
};

export const program = defineProgram({
  summary: "Sleeps, timers, tickers and deadlines become time-outs of epoll_pwait",
  options: goOptions,
  *main({ machine, print }, options) {
    const box = machine();
    const go = spawnGo(box, "timersleep", timersleep, options);
    yield box;
    if (options.counters && go.rt !== null) for (const line of counterLines(go.rt.stats)) print(line);
    return {};
  },
});
