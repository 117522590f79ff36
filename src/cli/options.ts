/**
 * Options that every command knows, and how their values are read.
 */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Family } from "../diff/families/family.ts";
import { allFamilies, families, familyNamed } from "../diff/families/index.ts";
import { kernelProfile, NEWEST } from "../kernel/profile.ts";
import { nearest } from "../trace/nearest.ts";

/** What `--kernel` and `--seed` say. */
export interface WorldOptions {
  /** A version with a profile; undefined: the command chooses. */
  readonly kernel?: string;
  readonly seed?: string;
}

/** Adds `--kernel` and `--seed`. */
export function worldOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--kernel <version>", "behave like this release of Linux (4.4 to 6.18)").argParser(kernelVersion),
    )
    .addOption(
      new Option("--seed <seed>", "picks among the outcomes that Linux leaves open; any text").argParser(seedText),
    );
}

/** Reads a whole number from `min` up. */
export function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && Number.isSafeInteger(value)) return value;
    throw new InvalidArgumentError(`Expected a whole number, at least ${min}.`);
  };
}

/** Reads a target. */
export function targetText(text: string): string {
  if (/^exec:\s*\S/.test(text)) return text;
  throw new InvalidArgumentError("Expected exec:COMMAND, such as 'exec:ssh host epollsim-agent'.");
}

/** Reads types of files: `pipe,tcp`, or `all`. */
export function familyList(text: string): readonly Family[] {
  if (text === "all") return allFamilies;
  return text.split(",").map((name) => {
    const family = familyNamed(name.trim());
    if (family !== null) return family;
    const names = families.map((known) => known.name);
    const near = nearest(name, names);
    throw new InvalidArgumentError(
      `'${name}' is no type of file. ${near === null ? `Expected some of ${names.join(", ")}, or all.` : `Expected '${near}'?`}`,
    );
  });
}

function kernelVersion(text: string): string {
  try {
    kernelProfile(text);
    return text;
  } catch {
    throw new InvalidArgumentError(`Expected a version from 4.4 to ${NEWEST}, such as 5.10.`);
  }
}

function seedText(text: string): string {
  if (text === "") throw new InvalidArgumentError("Expected a seed, such as 7.");
  return text;
}
