/**
 * The two versions of IP as scripts write them.
 */

/** How one version writes a domain, and an address on loopback with its length. */
export interface IpVersion {
  readonly domain: string;
  /** Longest payload of a datagram. */
  readonly payloadMax: number;
  /** Longest payload that the loopback device takes in one piece. */
  readonly pieceMax: number;
  readonly address: (port: number) => string;
}

export const V4: IpVersion = {
  domain: "AF_INET",
  payloadMax: 65507,
  pieceMax: 65507,
  address: (port) => `{sa_family=AF_INET, sin_port=htons(${port}), sin_addr=inet_addr("127.0.0.1")}, 16`,
};

export const V6: IpVersion = {
  domain: "AF_INET6",
  payloadMax: 65527,
  pieceMax: 65480,
  address: (port) =>
    `{sa_family=AF_INET6, sin6_port=htons(${port}), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::1", &sin6_addr), sin6_scope_id=0}, 28`,
};
