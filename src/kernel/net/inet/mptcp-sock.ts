/**
 * Sockets of IPPROTO_MPTCP, as far as they listen: a peer that speaks plain TCP gets a plain TCP connection.
 *
 * Counterpart: `net/mptcp/protocol.c` (`mptcp_listen`, `mptcp_stream_accept`: the fallback), `sockopt.c`.
 * The peers of the model speak plain TCP. A connection by several paths, which two such sockets would make, is not modelled.
 */
import { Unmodelled } from "../../lib/assert.ts";
import { So } from "../../uapi/socket.ts";
import { TcpSock } from "./tcp-sock.ts";

export const IPPROTO_MPTCP = 262;

/** Options of SOL_SOCKET that are answered as TCP's. Others are kept for each path, or refused. */
const SHARED: ReadonlySet<number> = new Set([
  So.REUSEADDR,
  So.REUSEPORT,
  So.TYPE,
  So.ERROR,
  So.KEEPALIVE,
  So.LINGER,
  So.ACCEPTCONN,
  So.PROTOCOL,
  So.DOMAIN,
]);

export class MptcpSock extends TcpSock {
  override get protocol(): number {
    return IPPROTO_MPTCP;
  }

  override connect(): number {
    throw new Unmodelled("a connection by MPTCP");
  }

  override sharesOption(option: number): boolean {
    return SHARED.has(option);
  }

  override setsockopt(_task: unknown, level: number, option: number): number {
    throw new Unmodelled(`option ${option} of level ${level} of an MPTCP socket`);
  }

  override getsockopt(_task: unknown, level: number, option: number): number {
    throw new Unmodelled(`option ${option} of level ${level} of an MPTCP socket`);
  }
}
