/**
 * The curve of Ed25519 and the equation of S1 (RFC 8032 section 5.1), with BigInt.
 *
 * It decodes public keys, and it verifies where WebCrypto cannot. Nothing here is secret, so nothing
 * here need take constant time.
 *
 * @typedef {{x: bigint, y: bigint, z: bigint, t: bigint}} Point extended coordinates
 */

import { sha512 } from "./hashes.js";

const P = 2n ** 255n - 19n;
/** The order of the base point (S1). */
export const L = 2n ** 252n + 27742317777372353535851937790883648493n;

/** @param {bigint} n @returns {bigint} from 0 to p - 1 */
const mod = (n) => {
  const rest = n % P;
  return rest < 0n ? rest + P : rest;
};

/** @param {bigint} base @param {bigint} exponent @returns {bigint} */
function power(base, exponent) {
  let [result, square] = [1n, base];
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

const D = mod(-121665n * power(121666n, P - 2n));
const ROOT_OF_MINUS_1 = power(2n, (P - 1n) / 4n);

/** A number from little-endian bytes. @param {Uint8Array} bytes */
export function littleEndian(bytes) {
  return bytes.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

/** The y of an encoded point: all but the top bit. @param {Uint8Array} bytes 32 bytes */
const yOf = (bytes) => littleEndian(bytes) & (2n ** 255n - 1n);

/** Whether an encoding is canonical: y < p (S1, check 3). @param {Uint8Array} bytes 32 bytes */
export function isCanonical(bytes) {
  return yOf(bytes) < P;
}

/**
 * A square root of u / v, if there is one (RFC 8032 section 5.1.3).
 * @param {bigint} u @param {bigint} v @returns {bigint | null}
 */
function rootOfRatio(u, v) {
  const v3 = mod(v * v * v);
  const root = mod(u * v3 * power(mod(u * v3 * v3 * v), (P - 5n) / 8n));
  const check = mod(v * root * root);
  if (check === u) return root;
  return check === mod(-u) ? mod(root * ROOT_OF_MINUS_1) : null;
}

/**
 * The point of a canonical encoding (S1, check 4).
 * @param {Uint8Array} bytes 32 bytes
 * @returns {Point | null} null if no point of the curve has this encoding
 */
export function decodePoint(bytes) {
  const y = yOf(bytes);
  const root = rootOfRatio(mod(y * y - 1n), mod(D * y * y + 1n));
  const sign = BigInt(bytes[31] >> 7);
  if (root === null || (root === 0n && sign === 1n)) return null;
  const x = (root & 1n) === sign ? root : P - root;
  return { x, y, z: 1n, t: mod(x * y) };
}

/** The sum of two points (RFC 8032 section 5.1.4). @param {Point} p @param {Point} q @returns {Point} */
function add(p, q) {
  const a = mod((p.y - p.x) * (q.y - q.x));
  const b = mod((p.y + p.x) * (q.y + q.x));
  const c = mod(2n * p.t * q.t * D);
  const d = mod(2n * p.z * q.z);
  return fromFactors(b - a, d - c, d + c, b + a);
}

/** Twice a point (RFC 8032 section 5.1.4). @param {Point} p @returns {Point} */
function double(p) {
  const [a, b, c] = [mod(p.x * p.x), mod(p.y * p.y), mod(2n * p.z * p.z)];
  const sum = p.x + p.y;
  const e = mod(a + b - sum * sum);
  return fromFactors(e, mod(c + a - b), a - b, a + b);
}

/** @param {bigint} e @param {bigint} f @param {bigint} g @param {bigint} h @returns {Point} */
const fromFactors = (e, f, g, h) => ({
  x: mod(e * f),
  y: mod(g * h),
  z: mod(f * g),
  t: mod(e * h),
});

/** @param {Point} p @returns {Point} */
const negative = (p) => ({ ...p, x: mod(-p.x), t: mod(-p.t) });

const NEUTRAL = { x: 0n, y: 1n, z: 1n, t: 0n };
const BASE = decodePoint(Uint8Array.from({ length: 32 }, (_, at) => (at === 0 ? 0x58 : 0x66)));

/**
 * mP + nQ, bit by bit for both at once.
 * @param {bigint} m @param {Point} p @param {bigint} n @param {Point} q @returns {Point}
 */
function doubleProduct(m, p, n, q) {
  const choices = [null, p, q, add(p, q)];
  let sum = NEUTRAL;
  for (let bit = 255n; bit >= 0n; bit -= 1n) {
    sum = double(sum);
    const choice = choices[Number(((m >> bit) & 1n) + 2n * ((n >> bit) & 1n))];
    if (choice) sum = add(sum, choice);
  }
  return sum;
}

/**
 * The equation without the cofactor, R = SB - hA (S1, check 6; RFC 8032 section 5.1.7).
 * @param {Uint8Array} a 32 bytes that passed checks 3 to 5
 * @param {Uint8Array} message
 * @param {Uint8Array} signature 64 bytes that passed checks 2, 3 and 5
 * @returns {boolean}
 */
export function satisfiesEquation(a, message, signature) {
  const encodedR = signature.subarray(0, 32);
  const [pointA, pointR] = [decodePoint(a), decodePoint(encodedR)];
  if (pointA === null || pointR === null) return false;
  const h = littleEndian(sha512(Uint8Array.from([...encodedR, ...a, ...message]))) % L;
  const sum = doubleProduct(littleEndian(signature.subarray(32)), BASE, h, negative(pointA));
  return mod(pointR.x * sum.z) === sum.x && mod(pointR.y * sum.z) === sum.y;
}
