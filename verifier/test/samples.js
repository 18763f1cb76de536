/** The sample bundles of the repository, for the tests. */

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { lines } from "../index.js";

const ROOT = new URL("../../", import.meta.url);
export const BUNDLES = new URL("bundles/", ROOT);

/** A folder of the corpora beside the repository, or null. @param {string} name */
export function corpus(name) {
  const folder = new URL(`../shared/corpora/${name}`, ROOT);
  return existsSync(folder) ? folder : null;
}

/** @param {string} name of a file in bundles/ */
export const sample = (name) => readFileSync(new URL(name, BUNDLES));

/** The codes for which bundles/invalid has a sample. */
export function invalidCodes() {
  const names = readdirSync(new URL("invalid/", BUNDLES));
  return names.filter((name) => name.endsWith(".expected.json")).map((name) => name.slice(0, -14));
}

/** The members of a tar of regular files. @param {Uint8Array} tar @returns {Map<string, Uint8Array>} */
function tarMembers(tar) {
  const text = (at, length) => new TextDecoder().decode(tar.subarray(at, at + length)).split("\0")[0];
  const members = new Map();
  for (let at = 0; tar[at] !== 0; ) {
    const size = parseInt(text(at + 124, 12), 8);
    members.set(text(at + 345, 155) + text(at, 100), tar.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return members;
}

/** The texts of the bundles in a bag of bundles/. @param {string} name */
export function bagged(name) {
  const members = [...tarMembers(sample(name))];
  return members.filter(([path]) => path.endsWith("bundle.json")).map(([, bytes]) => bytes);
}

/** The lines of a file of bundles/, as texts. @param {string} name */
export function linesOf(name) {
  return [...lines(sample(name))].map((line) => `${new TextDecoder().decode(line)}\n`);
}
