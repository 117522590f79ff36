/** A client and an echo server, each a process, blocking. */
import { Af, defineProgram, type Program, Sock } from "epollsim/runtime";

export const program = defineProgram({
  summary: "A client says hello to an echo server",
  options: { times: { default: 3, help: "how often", min: 1 } },
  *main({ machine, print }, { times }) {
    const box = machine();
    box.spawn(
      "server",
      function* (sys): Program {
        const lfd = sys.socket(Af.INET, Sock.STREAM);
        sys.bind(lfd, sys.memory.sockaddrIn("127.0.0.1", 8080));
        sys.listen(lfd, 128);
        const buf = sys.memory.alloc(64);
        for (;;) {
          const fd = yield sys.accept4(lfd, null, 0);
          for (let n = yield sys.read(fd, buf, 64); n > 0; n = yield sys.read(fd, buf, 64)) yield sys.write(fd, buf, n);
          sys.close(fd);
        }
      },
      { daemon: true },
    );
    box.spawn("client", function* (sys): Program {
      yield sys.nanosleep(1_000_000); // the server listens by then, whoever runs first
      const fd = sys.socket(Af.INET, Sock.STREAM);
      yield sys.connect(fd, sys.memory.sockaddrIn("127.0.0.1", 8080));
      const hello = sys.memory.allocText("hello");
      const buf = sys.memory.alloc(64);
      for (let i = 0; i < times; i += 1) {
        yield sys.write(fd, hello, 5);
        const n = yield sys.read(fd, buf, 64);
        print(buf.text(0, n));
      }
      sys.close(fd);
    });
    yield box;
    return { times };
  },
});
