/** Signed notes and checkpoints (C2SP signed-note and tlog-checkpoint), Ed25519 signatures only. */

import { sha256 } from "./hashes.js";
import { Refusal } from "./refusal.js";
import { isAccepted, isPublicKey } from "./signatures.js";
import { hex, isDigest, isTime, strictBase64, utf8 } from "./values.js";

/** @typedef {{name: string, id: string, publicKey: Uint8Array}} Verifier `id` of 8 digits */
/** @typedef {{name: string, id: string, signature: Uint8Array}} NoteSignature */

const ED25519 = 1;
const [MOST_BYTES, MOST_SIGNATURES] = [1 << 18, 100];

/** @param {string} code @param {string} message @returns {never} */
function refuse(code, message) {
  throw new Refusal(code, message);
}

/** White space of Unicode, control characters and the plus: not in the name of a key. */
const NO_NAME = /[\u0000-\u0020+\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/u;

/** Whether a text may name a key. @param {string} name */
const isName = (name) => name !== "" && !NO_NAME.test(name);

/**
 * A published public key, `<name>+<id>+<base64>`.
 * @param {string} text @returns {Verifier} @throws {Refusal} `note.key`
 */
export function parseVerifier(text) {
  const [name, id, ...rest] = text.split("+");
  const bytes = strictBase64(rest.join("+"));
  if (!isName(name) || bytes?.length !== 33 || bytes[0] !== ED25519) {
    return refuse("note.key", "this is no public key of a mirror");
  }
  const publicKey = bytes.subarray(1);
  const expected = hex(sha256(Uint8Array.of(...utf8(name), 0x0a, ...bytes))).slice(0, 8);
  if (id !== expected || !isPublicKey(publicKey)) refuse("note.key", "its id is not that of the key");
  return { name, id, publicKey };
}

/** A line `— name base64`. @param {string} line @returns {NoteSignature} */
function parseSignature(line) {
  const [dash, name, encoded, ...more] = line.split(" ");
  const bytes = encoded === undefined ? null : strictBase64(encoded);
  if (dash !== "—" || !isName(name ?? "") || more.length > 0 || !bytes || bytes.length < 5) {
    return refuse("note.shape", "a line of signatures is none");
  }
  return { name, id: hex(bytes.subarray(0, 4)), signature: bytes.subarray(4) };
}

/**
 * The signed text of a note, and its signatures.
 * @param {string} note @returns {{text: string, signatures: NoteSignature[]}}
 * @throws {Refusal} `note.size`, `note.text`, `note.shape` or `note.signatures`
 */
export function parseNote(note) {
  if (utf8(note).length > MOST_BYTES) return refuse("note.size", "a note is too long");
  if (/[\u0000-\u0009\u000b-\u001f]/u.test(note)) {
    return refuse("note.text", "a note has a control character");
  }
  const end = note.lastIndexOf("\n\n");
  const lines = note.slice(end + 2).split("\n");
  if (end < 0 || lines.pop() !== "" || lines.length === 0) {
    return refuse("note.shape", "a note is a text, an empty line and signatures");
  }
  if (lines.length > MOST_SIGNATURES) refuse("note.signatures", "a note has too many signatures");
  return { text: note.slice(0, end + 1), signatures: lines.map(parseSignature) };
}

/**
 * Whether a key signed a note.
 * @param {string} note @param {Verifier} verifier @returns {Promise<boolean>}
 */
export async function isNoteSignedBy(note, verifier) {
  const { text, signatures } = parseNote(note);
  const own = signatures.filter(({ name, id }) => name === verifier.name && id === verifier.id);
  const verdicts = own.map(({ signature }) => {
    return isAccepted(verifier.publicKey, utf8(text), signature);
  });
  return own.length > 0 && (await Promise.all(verdicts)).every(Boolean);
}

/** Whether a text is an integer of V1, without a sign. @param {string} text */
const isCount = (text) => /^(0|[1-9][0-9]{0,15})$/u.test(text) && Number.isSafeInteger(Number(text));

/** The lines of a mirror after the root: their names, in this order, and whether a value is one. */
const EXTENSIONS = new Map([
  ["key-set", isDigest],
  ["merge-version", (text) => /^[!-~]{1,100}$/u.test(text)],
  ["events-valid", isCount],
  ["events-invalid", isCount],
  ["time", (text) => text.length === 20 && isTime(text)],
]);

/** The values of a mirror's lines by name; none of another program. @param {string[]} lines */
function extensionsOf(lines) {
  const pairs = lines.map((line) => {
    const [name] = line.split(" ", 1);
    return [name, line.slice(name.length + 1)];
  });
  if (!pairs.some(([name]) => EXTENSIONS.has(name))) return new Map();
  const own = pairs.slice(0, EXTENSIONS.size);
  const names = [...EXTENSIONS.keys()];
  const isOwn = ([name, value], at) => name === names[at] && EXTENSIONS.get(name)(value);
  const others = pairs.slice(EXTENSIONS.size);
  if (own.length < names.length || !own.every(isOwn) || others.some(([name]) => EXTENSIONS.has(name))) {
    refuse("checkpoint.extension", "the lines of a mirror are others, or in another order");
  }
  return new Map(own);
}

/**
 * The text of a note as a checkpoint.
 * @param {string} text
 * @returns {{origin: string, size: number, root: string, keySetDigest: string | null, time: string | null}}
 * @throws {Refusal} `checkpoint.shape` or `checkpoint.extension`
 */
export function parseCheckpoint(text) {
  const lines = text.replace(/\n$/u, "").split("\n");
  const [origin, size, root, ...extensions] = lines;
  const bytes = strictBase64(root);
  if (lines.includes("") || !isCount(size ?? "") || bytes?.length !== 32) {
    return refuse("checkpoint.shape", "this is no checkpoint");
  }
  const named = extensionsOf(extensions);
  const [keySetDigest, time] = ["key-set", "time"].map((name) => named.get(name) ?? null);
  return { origin, size: Number(size), root: hex(bytes), keySetDigest, time };
}
