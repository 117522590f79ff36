// Writes docs/schema/trace-line.schema.json from src/trace/schema.ts. Run after a build; a test compares the two.
import { mkdirSync, writeFileSync } from "node:fs";
import { lineJsonSchema } from "../dist/trace/schema.js";

const folder = new URL("../docs/schema/", import.meta.url);
mkdirSync(folder, { recursive: true });
writeFileSync(new URL("trace-line.schema.json", folder), lineJsonSchema());
