/** Bitcoin block headers of 80 bytes: the hash, the work, and what such a header costs. */

import { sha256 } from "./hashes.js";
import { hex } from "./values.js";

const FREE = 2n ** 20n; // hashes that any computer makes in a second or two
const UNIT = 2n ** 256n / ((0xffffn << 208n) + 1n); // hashes of difficulty 1

/** @param {Uint8Array} header @param {number} at @returns {number} an integer of 4 bytes */
const integerAt = (header, at) => {
  return new DataView(header.buffer, header.byteOffset, 80).getUint32(at, true);
};

/** The hash of a header, as it is displayed. @param {Uint8Array} header */
export const blockHash = (header) => hex(sha256(sha256(header)).slice().reverse());

/** The time in a header (V5). @param {Uint8Array} header */
export function timeOf(header) {
  return new Date(integerAt(header, 68) * 1000).toISOString().replace(".000Z", "Z");
}

/** The greatest hash that a header allows, or null if it allows none. @param {Uint8Array} header */
function targetOf(header) {
  const bits = integerAt(header, 72);
  const [size, digits] = [BigInt(bits >>> 24), BigInt(bits & 0x7fffff)];
  const number = size <= 3n ? digits >> (8n * (3n - size)) : digits << (8n * (size - 3n));
  return bits & 0x800000 || number === 0n || number >> 256n ? null : number;
}

/** Whether the hash of a header is at most its own target. @param {Uint8Array} header */
export function hasWork(header) {
  const target = targetOf(header);
  return target !== null && BigInt(`0x${blockHash(header)}`) <= target;
}

/** A number with four digits, as `%.4g` of C writes it. @param {number} number above zero */
function fourDigits(number) {
  const [mantissa, exponent] = number.toExponential(3).split("e");
  const power = Number(exponent);
  if (power >= -4 && power < 4) return String(Number(number.toPrecision(4)));
  const digits = String(Math.abs(power)).padStart(2, "0");
  return `${Number(mantissa)}e${power < 0 ? "-" : "+"}${digits}`;
}

/** The difficulty of a header with work, in words, and what it costs. @param {Uint8Array} header */
export function difficultyWords(header) {
  const hashes = 2n ** 256n / (targetOf(header) + 1n);
  const difficulty = fourDigits(Number(hashes) / Number(UNIT));
  const words = `difficulty ${difficulty}, about ${fourDigits(Number(hashes))} hashes for a block`;
  if (hashes < FREE) return `${words}: such a chain costs nothing to make`;
  return hashes < UNIT ? `${words}: any computer makes such a chain` : words;
}
