/** Chapter 1: canonical bytes, digests, times and words about strings (V2 to V7). */

import { sha256 } from "./hashes.js";
import { Float } from "./json.js";

/** @typedef {import("./json.js").Json} Json */

const UTF_8 = new TextEncoder();

// V2 Canonical bytes -------------------------------------------------------------------------

/** A UTF-16 unit's place among code points: surrogates stand for what is beyond U+FFFF. */
const rank = (unit) => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800);

/**
 * Ascending by code point (V6), which UTF-16, the order of JavaScript, is not.
 * @param {string} a @param {string} b @returns {number} below, at or above zero
 */
export function compareStrings(a, b) {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const [left, right] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

/** An order of things by strings that are taken from them, the first one first. */
export const by = (...keys) => (a, b) => {
  for (const key of keys) {
    const order = compareStrings(key(a), key(b));
    if (order !== 0) return order;
  }
  return 0;
};

const SHORT_ESCAPES = new Map([
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["\b", "\\b"],
  ["\f", "\\f"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

/** @param {string} unit one UTF-16 unit */
const escaped = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** A string with V2's escapes and no others. @param {string} text */
function stringText(text) {
  const escape = (unit) => SHORT_ESCAPES.get(unit) ?? escaped(unit);
  const inside = text.replace(/["\\\u0000-\u001f]/g, escape);
  return `"${inside}"`;
}

/**
 * A float as CPython's `repr` spells it (V2). JavaScript finds the same digits, the fewest that read
 * back, and puts them in another form.
 * @param {number} number
 */
function floatText(number) {
  const sign = number < 0 || Object.is(number, -0) ? "-" : "";
  const [mantissa, power] = Math.abs(number).toExponential().split("e");
  const digits = mantissa.replace(".", "");
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) return sign + exponentForm(mantissa, exponent);
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  return `${sign}${whole}.${digits.slice(exponent + 1) || "0"}`;
}

/** @param {string} mantissa @param {number} exponent */
function exponentForm(mantissa, exponent) {
  const digits = String(Math.abs(exponent)).padStart(2, "0");
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${digits}`;
}

/**
 * The text of a value without white space.
 * @param {Json} value
 * @param {(members: [string, Json][]) => [string, Json][]} arranged the order of members
 * @returns {string}
 */
function textOf(value, arranged) {
  if (typeof value === "string") return stringText(value);
  if (value instanceof Float) return floatText(value.number);
  if (Array.isArray(value)) return `[${value.map((item) => textOf(item, arranged)).join(",")}]`;
  if (!(value instanceof Map)) return String(value); // null, a boolean, an integer
  const members = arranged([...value]);
  return `{${members.map(([name, one]) => `${stringText(name)}:${textOf(one, arranged)}`).join(",")}}`;
}

const byName = by(([name]) => name);

/** The canonical text of a value (V2), not yet as bytes. @param {Json} value */
export function canonicalText(value) {
  return textOf(value, (members) => members.sort(byName));
}

/** A value's text with the members in the order that they have (M13). @param {Json} value */
export function compactText(value) {
  return textOf(value, (members) => members);
}

/** UTF-8. @param {string} text @returns {Uint8Array} */
export function utf8(text) {
  return UTF_8.encode(text);
}

/** Canonical bytes (V2). @param {Json} value @returns {Uint8Array} */
export function canonical(value) {
  return utf8(canonicalText(value));
}

/** Whether two values are equal (V2): `1`, `1.0` and `true` are not. @param {Json} a @param {Json} b */
export function isEqual(a, b) {
  return canonicalText(a) === canonicalText(b);
}

/** The value with all members sorted by name, at every depth (M6). @param {Json} value @returns {Json} */
export function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (!(value instanceof Map)) return value;
  const members = [...value].sort(byName);
  return new Map(members.map(([name, one]) => [name, sorted(one)]));
}

/** The ASCII form (V7). @param {Json} value @returns {string} */
export function asciiForm(value) {
  return canonicalText(value).replace(/[\u007f-\uffff]/g, escaped); // unit by unit: pairs are two
}

// V3, V4 Digests -----------------------------------------------------------------------------

/** Lowercase hexadecimal digits. @param {Uint8Array} bytes */
export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {string} digits hexadecimal, two for a byte @returns {Uint8Array} */
export function fromHex(digits) {
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** The digest of a text's UTF-8 (V3). @param {string} text @returns {string} 64 digits */
export function digestOfText(text) {
  return hex(sha256(utf8(text)));
}

/** The digest of a value's canonical bytes (V3). @param {Json} value @returns {string} 64 digits */
export function digestOf(value) {
  return digestOfText(canonicalText(value));
}

/** Payload digest (V4). @param {Json} value @returns {string} 64 digits */
export function payloadDigest(value) {
  return digestOf(new Map([["payload", value]]));
}

/** Whether the value is a digest as V3 prints it. @param {Json} value */
export function isDigest(value) {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}

// V5 Times -----------------------------------------------------------------------------------

const TIME =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6}))?(?:Z|\+00:00)$/;

/** @param {number} year @param {number} month from 1 */
function daysIn(year, month) {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
}

/**
 * The instant of a time (V5), as a string of fixed length that sorts as instants do, down to the
 * microsecond: `2026-05-18T00:41:52.500000`.
 * @param {Json} value
 * @returns {string | null} null if the value is no time
 */
export function instant(value) {
  const found = typeof value === "string" ? TIME.exec(value) : null;
  if (!found) return null;
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number);
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return null;
  if (hour > 23 || minute > 59 || second > 59) return null;
  return `${value.slice(0, 19)}.${(found[7] ?? "").padEnd(6, "0")}`;
}

/** Whether the value is a time (V5). @param {Json} value */
export function isTime(value) {
  return instant(value) !== null;
}

// V6 Words about strings ---------------------------------------------------------------------

/** @param {Json} value */
export const isString = (value) => typeof value === "string";

/** A string that is not empty (V6). @param {Json} value */
export const isFilled = (value) => typeof value === "string" && value !== "";

/** @param {Json} value */
export const isObject = (value) => value instanceof Map;

/** Whether an object has exactly these members. @param {Json} value @param {string[]} names */
export function hasExactly(value, names) {
  return isObject(value) && value.size === names.length && names.every((name) => value.has(name));
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const SEXTETS = new Map([...ALPHABET].map((letter, at) => [letter, at]));

/**
 * The bytes of strict base64 (V6): one spelling for each byte string.
 * @param {Json} value
 * @returns {Uint8Array | null} null if the value is not strict base64
 */
export function strictBase64(value) {
  if (!isFilled(value) || value.length % 4 !== 0) return null;
  const padding = value.endsWith("==") ? 2 : value.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((value.length / 4) * 3 - padding);
  let [bits, count, at] = [0, 0, 0];
  for (let next = 0; next < value.length - padding; next += 1) {
    const sextet = SEXTETS.get(value[next]);
    if (sextet === undefined) return null;
    [bits, count] = [((bits << 6) | sextet) & 0xfff, count + 6];
    if (count < 8) continue;
    count -= 8;
    bytes[at] = bits >> count;
    at += 1;
  }
  return (bits & ((1 << count) - 1)) === 0 ? bytes : null; // the bits that padding leaves over
}

/**
 * The first letters of base32 (RFC 4648 section 6).
 * @param {Uint8Array} bytes @param {number} length in letters @returns {string}
 */
export function base32(bytes, length) {
  const number = BigInt(`0x${hex(bytes)}`) << 4n; // 256 bits are 52 letters of 5 bits, less 4
  const letters = number.toString(32).padStart(52, "0").slice(0, length);
  return letters.replace(/./g, (digit) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[parseInt(digit, 32)]);
}
