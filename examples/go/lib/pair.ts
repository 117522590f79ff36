/** Both ends of a TCP connection over loopback: the dialing one, and the accepted one. */
import type { Conn, Go, Runtime } from "epollsim/go";

export function* pair(rt: Runtime): Go<[Conn, Conn]> {
  const listen = yield* rt.listen("tcp4", "127.0.0.1:0");
  if (listen.err !== null) return rt.panic(listen.err.text);
  const ln = listen.value;
  const ch = rt.chan<Conn>();
  rt.go("main.pair.func1", function* () {
    const accept = yield* ln.accept();
    if (accept.err !== null) return rt.panic(accept.err.text);
    yield* ch.send(accept.value);
  });
  const dial = yield* rt.dial("tcp4", ln.addr);
  if (dial.err !== null) return rt.panic(dial.err.text);
  const accepted = (yield* ch.recv()) as Conn;
  yield* ln.close();
  return [dial.value, accepted];
}
