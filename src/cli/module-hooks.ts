/**
 * How Node loads a program of the user's: types are stripped from TypeScript, and `epollsim/...` is this installation.
 *
 * Runs in Node's loader thread: see `module.register` of node:module.
 */
import { readFile } from "node:fs/promises";
import type { LoadHook, ResolveHook } from "node:module";
import { fileURLToPath } from "node:url";
import { transformSync } from "@swc/wasm-typescript";

const TYPESCRIPT = /\.m?ts$/;

/** A program finds the library without an installation of its own. */
export const resolve: ResolveHook = (specifier, context, next) => {
  const own = specifier === "epollsim" || specifier.startsWith("epollsim/");
  return next(specifier, own ? { ...context, parentURL: import.meta.url } : context);
};

/** TypeScript's types become blanks, so that every place in the file stays where it is. */
export const load: LoadHook = async (url, context, next) => {
  if (!url.startsWith("file:") || !TYPESCRIPT.test(url)) return next(url, context);
  const file = fileURLToPath(url);
  return { format: "module", source: strip(await readFile(file, "utf8"), file), shortCircuit: true };
};

function strip(source: string, filename: string): string {
  try {
    return transformSync(source, { mode: "strip-only", module: true, filename }).code;
  } catch (error) {
    const { message, startLine } = error as { message: string; startLine?: number };
    throw new SyntaxError(`${filename}${startLine === undefined ? "" : `:${startLine}`}: ${message}`);
  }
}
