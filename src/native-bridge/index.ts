/** The native bridge: the port on a real kernel, here or elsewhere. */
export type { Greeting } from "./greeting.ts";
export {
  AgentFailed,
  AgentUnavailable,
  defaultAgentPath,
  NativePort,
  type NativePortOptions,
} from "./native-port.ts";
