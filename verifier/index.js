/**
 * A second implementation of the data rules of docs/protocol.md: strict JSON, records, keys,
 * signatures, events, bundles and the merge, for Node and browsers, without dependencies.
 *
 * It reads the envelope of E1 and no other. It opens no file and asks no clock and no network.
 */

export { Bundle, compose, parseBundle, verifyBundle } from "./bundles.js";
export { checkRecord, verdictOf } from "./checks.js";
export { compare } from "./comparison.js";
export { Float, lines, parse } from "./json.js";
export { BUILT_IN, BUILT_IN_SET, KeySet, parseKeySet } from "./keys.js";
export { merge, mergeAll } from "./merge.js";
export { Refusal } from "./refusal.js";
export { rootOf } from "./tree.js";
export { asciiForm, canonical, compactText, digestOf, payloadDigest } from "./values.js";
