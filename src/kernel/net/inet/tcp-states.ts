/**
 * States that several parts of TCP look at.
 *
 * Counterpart: `include/uapi/linux/net.h` (`socket_state`), `include/net/tcp.h`.
 */

/** `enum socket_state` of `struct socket`. */
export const SocketState = { UNCONNECTED: 1, CONNECTING: 2, CONNECTED: 3, DISCONNECTING: 4 } as const;

/** `urg_data`: under VALID the byte itself stands in the low bits. */
export const Urg = { VALID: 0x100, NOTYET: 0x200, READ: 0x400 } as const;
