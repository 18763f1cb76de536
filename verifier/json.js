/**
 * Strict JSON (V1), read from bytes.
 *
 * JavaScript's own reader loses what V1 and V2 want to know: whether a number is a float, whether a
 * name came twice, and in which order names like `1` stood. Here an integer is a number, a float is
 * a `Float`, and an object is a `Map`, in which no name (`__proto__`, `constructor`) means anything.
 *
 * @typedef {null | boolean | number | Float | string | Json[] | Map<string, Json>} Json
 */

import { Refusal } from "./refusal.js";

/** The deepest nesting of arrays and objects (V1). */
export const MAX_DEPTH = 64;

/** A number that was written with `.`, `e` or `E` (V1): 1.0 is not the integer 1. */
export class Float {
  /** @param {number} number finite */
  constructor(number) {
    this.number = number;
  }
}

const UTF_8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const NO_NUMBER = /-?Infinity|NaN/y;
const HEX = /[0-9a-fA-F]{4}/y;
const ESCAPES = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);
const LITERALS = new Map([
  ["t", ["true", true]],
  ["f", ["false", false]],
  ["n", ["null", null]],
]);

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** A text and the place that is read next. */
class Reader {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.depth = 0;
  }

  /** @param {string} code @param {string} message @returns {never} */
  refuse(code, message) {
    throw new Refusal(code, `${message} at character ${this.at + 1}`);
  }

  skipWhiteSpace() {
    for (;;) {
      const unit = this.text.charCodeAt(this.at);
      if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return;
      this.at += 1;
    }
  }

  /** Whether the next character is this one, which is then passed. @param {string} character */
  passes(character) {
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  /** @param {string} character */
  expect(character) {
    if (!this.passes(character)) this.refuse("json.syntax", `a ${character} is missing`);
  }

  /** The match of a sticky pattern here, which is then passed. @param {RegExp} pattern */
  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found) this.at = pattern.lastIndex;
    return found;
  }

  /** The whole text as one value. @returns {Json} */
  document() {
    const value = this.value();
    this.skipWhiteSpace();
    if (this.at < this.text.length) this.refuse("json.syntax", "something follows the value");
    return value;
  }

  /** @returns {Json} */
  value() {
    this.skipWhiteSpace();
    const first = this.text[this.at];
    if (first === "{") return this.nested(() => this.object());
    if (first === "[") return this.nested(() => this.array());
    if (first === '"') return this.string();
    const literal = LITERALS.get(first);
    return literal ? this.literal(literal) : this.number();
  }

  /** V1: at most 64 deep. @param {() => Json} read @returns {Json} */
  nested(read) {
    if (this.depth === MAX_DEPTH) this.refuse("json.depth", `more than ${MAX_DEPTH} levels`);
    this.depth += 1;
    this.at += 1;
    const value = read();
    this.depth -= 1;
    return value;
  }

  /** @returns {Map<string, Json>} */
  object() {
    const members = new Map();
    this.skipWhiteSpace();
    if (this.passes("}")) return members;
    do {
      this.skipWhiteSpace();
      const name = this.string();
      // V1: names are compared after their escapes are resolved.
      if (members.has(name)) this.refuse("json.duplicate_key", "a name comes twice, the second");
      this.skipWhiteSpace();
      this.expect(":");
      members.set(name, this.value());
      this.skipWhiteSpace();
    } while (this.passes(","));
    this.expect("}");
    return members;
  }

  /** @returns {Json[]} */
  array() {
    const items = [];
    this.skipWhiteSpace();
    if (this.passes("]")) return items;
    do {
      items.push(this.value());
      this.skipWhiteSpace();
    } while (this.passes(","));
    this.expect("]");
    return items;
  }

  /** @param {[string, Json]} literal @returns {Json} */
  literal([word, value]) {
    if (!this.text.startsWith(word, this.at)) this.refuse("json.syntax", "no value");
    this.at += word.length;
    return value;
  }

  /** @returns {number | Float} */
  number() {
    const found = this.match(NUMBER);
    if (!found) {
      const code = this.match(NO_NUMBER) ? "json.number" : "json.syntax"; // V1
      return this.refuse(code, "no value that JSON has");
    }
    const [text, fraction, exponent] = found;
    const number = Number(text); // the nearest double, as V1 wants
    if (fraction === undefined && exponent === undefined) return this.integer(number);
    if (!Number.isFinite(number)) this.refuse("json.number", "a number too large for a double");
    return new Float(number);
  }

  /** V1: within 2^53 - 1; -0 is 0. @param {number} number */
  integer(number) {
    if (!Number.isSafeInteger(number)) this.refuse("json.number", "an integer beyond 2^53 - 1");
    return number === 0 ? 0 : number;
  }

  /** @returns {string} */
  string() {
    this.expect('"');
    let read = "";
    for (;;) {
      const start = this.at;
      let unit = this.text.charCodeAt(this.at);
      while (unit !== QUOTE && unit !== BACKSLASH && unit >= 0x20) {
        this.at += 1;
        unit = this.text.charCodeAt(this.at);
      }
      read += this.text.slice(start, this.at);
      if (this.passes('"')) return read;
      if (unit !== BACKSLASH) this.refuse("json.syntax", "a string is cut off or holds a control");
      read += this.escape();
    }
  }

  /** @returns {string} */
  escape() {
    this.at += 1;
    const character = this.text[this.at];
    this.at += 1;
    if (character === "u") return this.codePoint();
    const meaning = ESCAPES.get(character);
    if (meaning === undefined) this.refuse("json.syntax", "an escape that JSON does not have");
    return meaning;
  }

  /** The four digits after `\u`, and the other half of a pair after them. @returns {string} */
  codePoint() {
    const unit = this.hex();
    if (unit < 0xd800 || unit > 0xdfff) return String.fromCharCode(unit);
    const hasOther = unit < 0xdc00 && this.text.startsWith("\\u", this.at);
    if (hasOther) this.at += 2;
    const other = hasOther ? this.hex() : 0;
    if (other < 0xdc00 || other > 0xdfff) this.refuse("json.surrogate", "half a surrogate pair"); // V1
    return String.fromCharCode(unit, other);
  }

  /** @returns {number} */
  hex() {
    const found = this.match(HEX);
    if (!found) return this.refuse("json.syntax", "an escape without four hexadecimal digits");
    return parseInt(found[0], 16);
  }
}

/**
 * Bytes as text: UTF-8 without a byte order mark, which the reader then finds (V1).
 * @param {Uint8Array} bytes
 */
function decoded(bytes) {
  try {
    return UTF_8.decode(bytes);
  } catch {
    throw new Refusal("json.syntax", "the bytes are not UTF-8");
  }
}

/**
 * One value from the bytes of a text (V1).
 * @param {Uint8Array} bytes
 * @returns {Json}
 * @throws {Refusal} with a code of V1
 */
export function parse(bytes) {
  return new Reader(decoded(bytes)).document();
}

/**
 * The lines of JSON Lines that are not blank, as bytes; each is for `parse` to read or refuse (V1).
 * @param {Uint8Array} bytes
 * @returns {Generator<Uint8Array>}
 */
export function* lines(bytes) {
  let start = 0;
  while (start < bytes.length) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline < 0 ? bytes.length : newline;
    const line = bytes.subarray(start, end);
    if (line.some((byte) => byte !== 0x20 && byte !== 0x09 && byte !== 0x0d)) yield line;
    start = end + 1;
  }
}
