/** Chapter 5: the root of all states. */

import { sha256 } from "./hashes.js";
import { fromHex, hex } from "./values.js";

/** @typedef {{canonicalSha256: string, coreDigest: string}} Leaf both of 64 digits */

const NOTHING = new Uint8Array(32);
const DIGITS = [..."0123456789abcdef"];

/** @param {...Uint8Array} parts */
function hashOf(...parts) {
  return sha256(Uint8Array.from(parts.flatMap((part) => [...part])));
}

/** @param {Leaf[]} leaves @param {number} depth @returns {Uint8Array} */
function subtree(leaves, depth) {
  if (leaves.length === 0) return NOTHING;
  if (leaves.length === 1) {
    const [{ canonicalSha256, coreDigest }] = leaves;
    return hashOf(Uint8Array.of(0), fromHex(canonicalSha256), fromHex(coreDigest));
  }
  const children = DIGITS.map((digit) => {
    const below = leaves.filter((leaf) => leaf.canonicalSha256[depth] === digit);
    return subtree(below, depth + 1);
  });
  return hashOf(Uint8Array.of(1), ...children);
}

/**
 * The root of a set of leaves.
 * @param {Leaf[]} leaves one for each record @returns {string} 64 digits
 */
export function rootOf(leaves) {
  return hex(subtree(leaves, 0));
}

/**
 * The root to which an inclusion proof leads, or null if the leaf is not below its nodes.
 * @param {Leaf} leaf @param {Map<string, string>[]} steps the children of each node by their digits,
 *   those of the root first @returns {string | null} 64 digits
 */
export function rootFromPath(leaf, steps) {
  if (steps.length > 64) return null;
  let digest = subtree([leaf], 0);
  for (let level = steps.length - 1; level >= 0; level -= 1) {
    const children = DIGITS.map((digit) => {
      const child = steps[level].get(digit);
      return child === undefined ? NOTHING : fromHex(child);
    });
    if (hex(children[DIGITS.indexOf(leaf.canonicalSha256[level])]) !== hex(digest)) return null;
    digest = hashOf(Uint8Array.of(1), ...children);
  }
  return hex(digest);
}
