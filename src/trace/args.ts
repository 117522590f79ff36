/**
 * Expressions: arguments, fields, results.
 *
 * The grammar is what strace prints, with our additions (`$name`, `@place`). Operators bind as in C. Inside brackets words may
 * stand side by side (`[HUP INT]`, `{B38400 opost ...}`); anywhere else a missing comma is an error.
 */
import type { EllipsisExpr, Expr, PartExpr, SymExpr } from "./ast.ts";
import { isDigit, Lexer, startsWord } from "./lexer.ts";
import { operatorStrength } from "./operators.ts";
import { hexDigit } from "./strings.ts";

const ELLIPSIS: EllipsisExpr = { kind: "ellipsis" };
const NO_ITEMS: readonly Expr[] = [];
/** Deeper nesting than any structure has; a hostile line must not overflow the stack. */
const DEPTH_MAX = 200;

/** Reads expressions at the position of the lexer that it is. */
export class ArgParser extends Lexer {
  #depth = 0;

  override reset(text: string, line: number, file: string | null): void {
    super.reset(text, line, file);
    this.#depth = 0;
    this.#cut = false;
  }

  /** One element of a list: `name=value`, `[index]=value`, `from => to`, or an expression. */
  item(): Expr {
    const text = this.text;
    const start = this.pos;
    const first = text.charCodeAt(start);
    if (startsWord(first) && text.charCodeAt(start + 2) !== 0x3a) {
      const word = this.word();
      if (text.charCodeAt(this.pos) === 0x3d && this.#isSingleEquals()) {
        this.pos += 1;
        return { kind: "named", name: word.name, value: this.#change() };
      }
      return this.#changeFrom(this.#operators(this.#behindWord(word), 1));
    }
    const value = this.#change();
    if (first !== 0x5b || text.charCodeAt(this.pos) !== 0x3d || !this.#isSingleEquals()) return value;
    const name = text.slice(start, this.pos);
    this.pos += 1;
    return { kind: "named", name, value: this.#change() };
  }

  /** An expression without a name. */
  expr(): Expr {
    return this.#operators(this.#operand(), 1);
  }

  /** One operand: no operators. */
  protected single(): Expr {
    return this.#operand();
  }

  /** Goes on at `pos` after an error somewhere inside an expression. */
  protected recover(pos: number): void {
    this.pos = pos;
    this.#depth = 0;
    this.#cut = false;
  }

  #isSingleEquals(): boolean {
    const next = this.text.charCodeAt(this.pos + 1);
    return next !== 0x3d && next !== 0x3e;
  }

  #change(): Expr {
    // `name= => to`, where `name==> to` would be a comparison
    if (this.text.charCodeAt(this.pos) === 0x20) this.skipBlanks();
    if (this.#atArrow()) return this.#changeFrom(null);
    return this.#changeFrom(this.expr());
  }

  #atArrow(): boolean {
    return this.text.charCodeAt(this.pos) === 0x3d && this.text.charCodeAt(this.pos + 1) === 0x3e;
  }

  /** `from` itself, or `from => to` when an arrow follows. */
  #changeFrom(from: Expr | null): Expr {
    const code = this.text.charCodeAt(this.pos);
    if (from !== null && code !== 0x20 && code !== 0x3d) return from;
    this.skipBlanks();
    if (!this.#atArrow()) return from!;
    this.pos += 2;
    this.skipBlanks();
    const to = this.#whole(this.expr());
    this.skipBlanks();
    return { kind: "change", from, to, brackets: "" };
  }

  /** `left` and what operators of at least `strength` add to it. */
  #operators(left: Expr, strength: number): Expr {
    const code = this.text.charCodeAt(this.pos);
    // the common ends: , ) ] }
    if (code === 0x2c || code === 0x29 || code === 0x5d || code === 0x7d) return left;
    let value = left;
    for (;;) {
      const op = this.#peekOperator();
      const own = operatorStrength(op);
      if (own < strength || own === 0) return value;
      value = this.#series(value, op, own);
    }
  }

  /** `a|b|c` from its first operand: the same operator again and again is one `OpExpr`. */
  #series(first: Expr, op: string, strength: number): Expr {
    const items: Expr[] = [first];
    do {
      this.skipBlanks();
      this.pos += op.length;
      this.skipBlanks();
      items.push(this.#whole(this.#operators(this.#operand(), strength + 1)));
    } while (this.#peekOperator() === op);
    return { kind: "op", op, items };
  }

  /** The operator at `pos`, blanks before it allowed; "" when there is none. Moves nothing. */
  #peekOperator(): string {
    const text = this.text;
    const start = this.pos;
    let code = text.charCodeAt(start);
    // the commonest of all
    if (code === 0x7c && text.charCodeAt(start + 1) !== 0x7c) return "|";
    if (code === 0x20 || code === 0x2f) this.skipBlanks();
    const pos = this.pos;
    this.pos = start;
    code = text.charCodeAt(pos);
    const next = text.charCodeAt(pos + 1);
    switch (code) {
      case 0x7c: // |
        return next === code ? "||" : "|";
      case 0x26: // &
        return next === code ? "&&" : "&";
      case 0x3d: // =
        return next === code ? "==" : "";
      case 0x21: // !
        return next === 0x3d ? "!=" : "";
      case 0x3c: // <
        return next === code ? "<<" : "";
      case 0x3e: // >
        return next === code ? ">>" : "";
      case 0x2a: // *
      case 0x2f: // /
      case 0x25: // %
      case 0x5e: // ^
        return text[pos]!;
      case 0x2b: // +
      case 0x2d: // -
        // `[1 -2]` are two words, `1 - 2` and `1-2` a difference
        return pos === start || next === 0x20 ? text[pos]! : "";
      case 0x6f: // or
        return pos > start && next === 0x72 && text.charCodeAt(pos + 2) === 0x20 ? "or" : "";
      default:
        return "";
    }
  }

  #operand(): Expr {
    const text = this.text;
    const code = text.charCodeAt(this.pos);
    if (text.charCodeAt(this.pos + 2) === 0x3a && hexDigit(code) >= 0) {
      const address = this.#hardwareAddress();
      if (address !== null) return address;
    }
    if (startsWord(code)) return this.#behindWord(this.word());
    if (isDigit(code)) return this.int(false);
    switch (code) {
      case 0x22: // "
        return this.string();
      case 0x7b: // {
        return this.#struct();
      case 0x5b: // [
        return this.#array();
      case 0x2d: // -
        this.pos += 1;
        if (isDigit(text.charCodeAt(this.pos))) return this.int(true);
        return { kind: "op", op: "-", items: [this.#nested()] };
      case 0x7e: // ~
        this.pos += 1;
        if (text.charCodeAt(this.pos) !== 0x5b) return { kind: "op", op: "~", items: [this.#nested()] };
        return this.#negatedSet();
      case 0x21: // !
        this.pos += 1;
        return { kind: "op", op: "!", items: [this.#nested()] };
      case 0x24: // $
        return this.#variable();
      case 0x40: // @
        return this.#place();
      case 0x26: // &
        this.pos += 1;
        if (!startsWord(text.charCodeAt(this.pos))) this.fail("a name behind '&'");
        return { kind: "sym", name: `&${this.word().name}`, note: null };
      case 0x28: // (
        return this.#parenthesised();
      case 0x2e: // .
        if (!text.startsWith("...", this.pos)) break;
        this.pos += 3;
        return ELLIPSIS;
      case 0x3c: // <
        if (text.startsWith("<... resuming", this.pos)) return this.#resuming();
        break;
      default:
        break;
    }
    return this.fail("a value");
  }

  #nested(): Expr {
    this.#enter();
    const value = this.#whole(this.#operand());
    this.#depth -= 1;
    return value;
  }

  /** Only an argument, an element or the value of a name may have been cut by `<unfinished ...>`. */
  #whole(value: Expr): Expr {
    if (this.#cut) this.fail("the bracket that ends the value");
    return value;
  }

  #enter(): void {
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX) this.fail(`at most ${DEPTH_MAX} levels of brackets`);
  }

  /** A symbol with its note, or the call that the word begins. */
  #behindWord(word: SymExpr): Expr {
    const code = this.text.charCodeAt(this.pos);
    if (code === 0x28) {
      this.pos += 1;
      const args = this.#list(0x29, "')'");
      if (this.#cut) this.fail("')'");
      this.pos += 1;
      return { kind: "call", name: word.name, args };
    }
    if (code !== 0x3c) return word;
    const note = this.note();
    return note === null ? word : { kind: "sym", name: word.name, note };
  }

  /** `52:54:00:12:34:56`, kept as a symbol. */
  #hardwareAddress(): SymExpr | null {
    const found = /^[0-9a-f]{2}(?::[0-9a-f]{2})+(?![\w:])/u.exec(this.text.slice(this.pos, this.pos + 100));
    if (found === null) return null;
    this.pos += found[0].length;
    return { kind: "sym", name: found[0], note: null };
  }

  #resuming(): SymExpr {
    const end = this.text.indexOf("...>", this.pos + 4);
    if (end === -1) this.fail("'...>'", this.text.length);
    const name = this.text.slice(this.pos, end + 4);
    this.pos = end + 4;
    return { kind: "sym", name, note: null };
  }

  #parenthesised(): Expr {
    this.#enter();
    this.pos += 1;
    this.skipBlanks();
    const value = this.#whole(this.expr());
    this.skipBlanks();
    if (this.text.charCodeAt(this.pos) !== 0x29) this.fail("')'");
    this.pos += 1;
    this.#depth -= 1;
    return value;
  }

  #struct(): Expr {
    this.pos += 1;
    const fields = this.#list(0x7d, "'}'");
    if (this.#cut) return this.#head("{}", fields);
    this.pos += 1;
    const only = fields.length === 1 ? fields[0]! : null;
    if (only !== null && only.kind === "change" && only.brackets === "") return { ...only, brackets: "{}" };
    return { kind: "struct", fields };
  }

  #array(): Expr {
    this.pos += 1;
    const items = this.#list(0x5d, "']'");
    if (this.#cut) return this.#head("[]", items);
    this.pos += 1;
    const only = items.length === 1 ? items[0]! : null;
    if (only !== null && only.kind === "change" && only.brackets === "") return { ...only, brackets: "[]" };
    if (only !== null && only.kind === "op" && only.op === " ")
      return { kind: "set", items: only.items, negated: false };
    return { kind: "array", items };
  }

  #negatedSet(): Expr {
    const value = this.#array();
    if ((value.kind !== "array" || value.items.length > 1) && value.kind !== "set") {
      return this.fail("a set of words with blanks between them behind '~'");
    }
    return { kind: "set", items: value.items, negated: true };
  }

  /** True while lists end without their bracket because `<unfinished ...>` cut them. */
  #cut = false;

  #head(brackets: "{}" | "[]", items: readonly Expr[]): PartExpr {
    return { kind: "part", side: "head", brackets, items };
  }

  /** Items up to the bracket `close`, which stays unread; stops at `<unfinished ...>` with `#cut` set. */
  #list(close: number, closeName: string): readonly Expr[] {
    this.#enter();
    const text = this.text;
    this.skipBlanks();
    if (text.charCodeAt(this.pos) === close) {
      this.#depth -= 1;
      return NO_ITEMS;
    }
    const items: Expr[] = [];
    for (;;) {
      items.push(this.item());
      if (this.#cut) break;
      let code = text.charCodeAt(this.pos);
      if (code !== 0x2c && code !== close) {
        this.skipBlanks();
        code = text.charCodeAt(this.pos);
        if (code !== 0x2c && code !== close) {
          if (this.atUnfinished()) {
            this.#cut = true;
            break;
          }
          items.push(this.#sideBySide(items.pop()!, close, closeName));
          code = text.charCodeAt(this.pos);
        }
      }
      if (code === close) break;
      this.pos += 1;
      if (text.charCodeAt(this.pos) === 0x20) this.pos += 1;
      this.skipBlanks();
      if (this.atUnfinished()) {
        this.#cut = true;
        break;
      }
    }
    this.#depth -= 1;
    return items;
  }

  /** `HUP INT` from its first word, up to a comma or the bracket. */
  #sideBySide(first: Expr, close: number, closeName: string): Expr {
    const items: Expr[] = [first];
    for (;;) {
      const code = this.text.charCodeAt(this.pos);
      if (code === 0x2c || code === close) break;
      if (
        !isPlainWord(items[items.length - 1]!) ||
        !(startsWord(code) || isDigit(code) || code === 0x2d || code === 0x2e)
      )
        this.fail(`',' or ${closeName}`);
      const value = this.expr();
      if (!isPlainWord(value) || this.text.charCodeAt(this.pos) === 0x3d) this.fail(`',' or ${closeName}`);
      items.push(value);
      this.skipBlanks();
    }
    return { kind: "op", op: " ", items };
  }

  /** True when the rest of the line says that the call was interrupted here. */
  atUnfinished(): boolean {
    const text = this.text;
    if (text.charCodeAt(this.pos) !== 0x3c) return false;
    return text.startsWith("<unfinished ...>", this.pos) || text.startsWith("<detached ...>", this.pos);
  }

  /** `$ep`, `$e{i}`, `$e{i+1}`. */
  #variable(): Expr {
    const text = this.text;
    const start = this.pos + 1;
    let pos = start;
    for (;;) {
      const code = text.charCodeAt(pos);
      if (startsWord(code) || isDigit(code)) pos += 1;
      else if (code === 0x7b) {
        const close = text.indexOf("}", pos);
        if (close === -1) this.fail("'}'", text.length);
        pos = close + 1;
      } else break;
    }
    if (pos === start) this.fail("a name behind '$'", start);
    this.pos = pos;
    return { kind: "var", name: text.slice(start, pos) };
  }

  /** `@edge-24:[...]`, `@buf+8`, `@bad`, or an abstract unix address `@"name"`. */
  #place(): Expr {
    const text = this.text;
    this.pos += 1;
    if (text.charCodeAt(this.pos) === 0x22) return { kind: "at", place: "", offset: 0, content: this.string() };
    if (!startsWord(text.charCodeAt(this.pos))) this.fail("the name of a place behind '@'");
    const place = this.word().name;
    let offset = 0;
    const sign = text.charCodeAt(this.pos);
    if (sign === 0x2b || sign === 0x2d) {
      this.pos += 1;
      if (!isDigit(text.charCodeAt(this.pos))) this.fail("a number of bytes");
      offset = this.int(sign === 0x2d).num;
    }
    if (text.charCodeAt(this.pos) !== 0x3a) return { kind: "at", place, offset, content: null };
    this.pos += 1;
    this.#enter();
    const content = this.#whole(this.expr());
    this.#depth -= 1;
    return { kind: "at", place, offset, content };
  }

  /** What a list's cut left behind: true once, when the arguments ended in `<unfinished ...>` inside a bracket. */
  protected takeCut(): boolean {
    const cut = this.#cut;
    this.#cut = false;
    return cut;
  }
}

function isPlainWord(expr: Expr): boolean {
  return (
    expr.kind === "sym" || expr.kind === "int" || expr.kind === "var" || expr.kind === "ellipsis" || expr.kind === "op"
  );
}
