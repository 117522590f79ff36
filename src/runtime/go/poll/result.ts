/**
 * What a function that makes something gives back: the thing, or an error.
 *
 * Counterpart: Go's pair of results.
 */
import type { GoError } from "./errors.ts";

export type Result<T> = { readonly value: T; readonly err: null } | { readonly value: null; readonly err: GoError };

export function ok<T>(value: T): { readonly value: T; readonly err: null } {
  return { value, err: null };
}

export function failed(err: GoError): { readonly value: null; readonly err: GoError } {
  return { value: null, err };
}
