/**
 * Sockets that only messages in flight still hold.
 *
 * Counterpart: `net/unix/garbage.c`, as it is since 6.10.
 * A socket sent through a socket is held by the message. When such messages form a circle that no descriptor reaches,
 * nobody can ever receive them: their queues are emptied. The graph has a vertex for each socket in flight and an edge to the
 * receiver for each time that it is; strongly connected components (Tarjan) whose references all come from inside are dead. The
 * order in which they die can be seen (U-51): it follows the vertices, which a walk leaves in the order in which it closed their
 * components. Linux remembers the components until the graph changes; a new walk over the same graph finds the same ones in
 * the same order, so the model always walks. Linux collects from a worker, the model at the end of the call that closed a
 * socket (ND-21).
 */
import type { Scm } from "../scm.ts";
import type { SkBuff } from "../skbuff.ts";
import { SkState } from "../sock.ts";
import { SocketFile } from "../socket.ts";
import { UnixSock } from "./unix-sock.ts";

const UNVISITED = -1;
/** Its component is known. */
const GROUPED = -2;

/** `struct unix_edge`: one reference in flight. */
interface UnixEdge {
  readonly predecessor: UnixSock;
  readonly successor: UnixSock;
}

/** `struct unix_vertex`: a socket in flight. */
class UnixVertex {
  readonly sk: UnixSock;
  /** Its own references; their number is `out_degree`. */
  readonly edges: UnixEdge[] = [];
  /** When the walk came here, or one of the marks above. */
  index: number = UNVISITED;
  /** The earliest `index` that can be reached; equal for all of a component once that is known. */
  sccIndex: number = UNVISITED;

  constructor(sk: UnixSock) {
    this.sk = sk;
  }
}

/** What a dead socket has in its queue. */
interface DeadQueue {
  readonly receiver: UnixSock;
  readonly skbs: readonly SkBuff[];
}

/** Where the walk stands in one vertex. */
interface Visit {
  readonly vertex: UnixVertex;
  next: number;
}

/** Messages in flight that carry AF_UNIX sockets. */
export class Inflight {
  readonly #edges = new Map<Scm, UnixEdge[]>();
  /** In the order of `unix_unvisited_vertices`. */
  #vertices = new Map<UnixSock, UnixVertex>();
  /** A socket was closed since the last collection: there may be a new circle. */
  wanted = false;

  /** `unix_add_edges`: a message with descriptors joins a queue. */
  add(scm: Scm, receiver: UnixSock): void {
    const { fp, user } = scm;
    if (fp === null) return;
    if (user !== null) user.unixInflight += fp.length;
    scm.inflight = true;
    const edges: UnixEdge[] = [];
    for (const file of fp) {
      if (!(file instanceof SocketFile && file.sk instanceof UnixSock)) continue;
      const edge = { predecessor: file.sk, successor: receiver };
      edges.push(edge);
      this.#addEdge(edge);
    }
    if (edges.length > 0) this.#edges.set(scm, edges);
  }

  /** `unix_add_edge`. */
  #addEdge(edge: UnixEdge): void {
    let vertex = this.#vertices.get(edge.predecessor);
    if (vertex === undefined) {
      vertex = new UnixVertex(edge.predecessor);
      this.#vertices.set(edge.predecessor, vertex);
    }
    vertex.edges.push(edge);
  }

  /** `unix_del_edges`: it is taken from its queue, or thrown away. */
  remove(scm: Scm): void {
    if (!scm.inflight) return;
    scm.inflight = false;
    if (scm.user !== null) scm.user.unixInflight -= scm.fp?.length ?? 0;
    for (const edge of this.#edges.get(scm) ?? []) {
      const { edges } = this.#vertices.get(edge.predecessor) as UnixVertex;
      edges.splice(edges.indexOf(edge), 1);
      if (edges.length === 0) this.#vertices.delete(edge.predecessor);
    }
    this.#edges.delete(scm);
  }

  /** Called by each release. */
  request(): void {
    if (this.#edges.size > 0) this.wanted = true;
  }

  /** `__unix_gc`. The references that this drops are put down later, like those of any message. */
  collect(): void {
    this.wanted = false;
    const visited: UnixVertex[] = [];
    const dead: DeadQueue[] = [];
    for (const vertex of this.#vertices.values()) {
      if (vertex.index === UNVISITED) this.#walk(vertex, visited, dead);
    }
    this.#vertices = new Map(visited.map((vertex) => [vertex.sk, vertex]));
    for (const vertex of visited) vertex.index = UNVISITED;
    // each queue was put in front of those before
    for (const { receiver, skbs } of dead.reverse()) for (const skb of skbs) receiver.freeSkb(skb);
  }

  /** `__unix_walk_scc`: everything that can be reached from `root`. */
  #walk(root: UnixVertex, visited: UnixVertex[], dead: DeadQueue[]): void {
    const stack: UnixVertex[] = [];
    const path: Visit[] = [];
    let count = visited.length;
    const enter = (vertex: UnixVertex) => {
      vertex.index = count;
      vertex.sccIndex = count;
      count += 1;
      stack.push(vertex);
      path.push({ vertex, next: 0 });
    };
    enter(root);
    for (let visit = path.at(-1); visit !== undefined; visit = path.at(-1)) {
      const { vertex } = visit;
      const edge = vertex.edges[visit.next];
      visit.next += 1;
      if (edge !== undefined) {
        const next = this.#successor(edge);
        if (next?.index === UNVISITED) enter(next);
        else if (next !== null && next.index !== GROUPED) vertex.sccIndex = Math.min(vertex.sccIndex, next.index);
        continue;
      }
      path.pop();
      const parent = path.at(-1)?.vertex;
      if (parent !== undefined) parent.sccIndex = Math.min(parent.sccIndex, vertex.sccIndex);
      if (vertex.index === vertex.sccIndex) this.#close(stack.splice(stack.indexOf(vertex)), visited, dead);
    }
  }

  /** A component is complete. */
  #close(scc: readonly UnixVertex[], visited: UnixVertex[], dead: DeadQueue[]): void {
    for (const vertex of scc) {
      vertex.index = GROUPED;
      visited.push(vertex);
    }
    const members = new Set(scc);
    if (scc.every((vertex) => this.#isDead(vertex, members))) for (const { sk } of scc) collectSkbs(sk, dead);
  }

  /** `unix_vertex_dead`: nobody outside the component can receive it, and no descriptor leads to it. */
  #isDead({ sk, edges }: UnixVertex, scc: ReadonlySet<UnixVertex>): boolean {
    for (const edge of edges) {
      const next = this.#successor(edge);
      if (next === null || !scc.has(next)) return false;
    }
    return sk.file?.refs === edges.length;
  }

  /** `unix_edge_successor`: what a connection that nobody has accepted receives, its listener holds. */
  #successor({ successor }: UnixEdge): UnixVertex | null {
    return this.#vertices.get(successor.listener ?? successor) ?? null;
  }

  /** For whoever compares machines: see `src/explore/state.ts`. */
  privateFields(): unknown[] {
    return [this.#edges, this.#vertices];
  }
}

/** `unix_collect_skb`: empties the queue of one socket, or of the connections that wait for it. */
function collectSkbs(sk: UnixSock, dead: DeadQueue[]): void {
  if (sk.state !== SkState.LISTEN) {
    dead.push(emptied(sk));
    return;
  }
  for (let skb = sk.receiveQueue.first; skb !== null; skb = skb.next) dead.push(emptied(skb.sk as UnixSock));
}

function emptied(receiver: UnixSock): DeadQueue {
  const skbs: SkBuff[] = [];
  const { receiveQueue } = receiver;
  for (let skb = receiveQueue.dequeue(); skb !== null; skb = receiveQueue.dequeue()) skbs.push(skb);
  return { receiver, skbs };
}
