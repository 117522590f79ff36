/** The layers of docs/decisions/0001-layers.md: an arrow points down only. */
const below = (name, from, allowed) => ({
  name,
  severity: "error",
  comment: `${from} may import only: ${allowed.join(", ")}`,
  from: { path: `^src/${from}/` },
  to: { path: "^src/", pathNot: [`^src/${from}/`, ...allowed.map((a) => `^src/${a}`)] },
});

export default {
  forbidden: [
    {
      name: "no-circular",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "pure-core",
      severity: "error",
      comment: "kernel, syscalls and runtime use no package and no host API",
      from: { path: "^src/(kernel|syscalls|runtime)/" },
      to: { pathNot: "^src/" },
    },
    below("kernel-is-the-bottom", "kernel", []),
    below("syscalls-on-kernel", "syscalls", ["kernel"]),
    below("runtime-on-syscalls", "runtime", ["syscalls", "kernel/uapi"]),
    below("trace-on-syscalls", "trace", ["syscalls", "kernel"]),
    below("bridge-takes-the-port", "native-bridge", ["syscalls/port", "kernel/uapi"]),
    below("replay-on-trace", "replay", ["trace", "syscalls", "kernel"]),
    below("explore-on-trace", "explore", ["trace", "syscalls", "kernel"]),
    below("analysis-on-trace", "analysis", ["trace", "replay", "syscalls", "kernel"]),
    below("diff-on-trace", "diff", ["trace", "explore", "native-bridge", "syscalls", "kernel"]),
    below("export-on-trace", "export", ["trace", "syscalls", "kernel"]),
    { name: "cli-on-top", severity: "error", from: { pathNot: "^(src/cli|test|bench)/" }, to: { path: "^src/cli/" } },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "types", "node", "default"] },
  },
};
