// Writes docs/schema/ from src/trace/schema.ts and src/analysis/doctor/schema.ts. Run after a build; tests compare.
import { mkdirSync, writeFileSync } from "node:fs";
import { doctorJsonSchema } from "../dist/analysis/doctor/schema.js";
import { lineJsonSchema } from "../dist/trace/schema.js";

const folder = new URL("../docs/schema/", import.meta.url);
mkdirSync(folder, { recursive: true });
writeFileSync(new URL("trace-line.schema.json", folder), lineJsonSchema());
writeFileSync(new URL("doctor.schema.json", folder), doctorJsonSchema());
