/** The native bridge: the port on a real kernel, here or elsewhere. */
export {
  AgentFailed,
  AgentUnavailable,
  defaultAgentPath,
  NativePort,
  type NativePortOptions,
} from "./native-port.ts";
export type { Greeting } from "./protocol.ts";
