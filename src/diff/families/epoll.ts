/**
 * Epolls that watch epolls: the commands of `epollsim diff --generate`, with nobody asleep.
 */
import { wakefulEpollCommands } from "../epoll-commands.ts";
import { fileCommands, openEpoll, openEventfd, openPipe, openSocketpair } from "../file-commands.ts";
import { everyFile } from "./every-file.ts";
import type { Family } from "./family.ts";

/** Epolls. */
export const epoll: Family = {
  name: "epoll",
  open: (known, draft, variant) => {
    openEpoll(known, draft);
    openEpoll(known, draft);
    openEventfd(known, draft);
    if (variant % 2 === 0) openPipe(known, draft);
    else openSocketpair(known, draft);
  },
  commands: [...everyFile, ...fileCommands, ...wakefulEpollCommands],
};
