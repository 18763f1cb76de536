/** Signed notes and checkpoints (C2SP signed-note and tlog-checkpoint), Ed25519 signatures only. */

import { sha256 } from "./hashes.js";
import { Refusal } from "./refusal.js";
import { isAccepted, isPublicKey } from "./signatures.js";
import { hex, strictBase64, utf8 } from "./values.js";

/** @typedef {{name: string, id: string, publicKey: Uint8Array}} Verifier `id` of 8 digits */
/** @typedef {{name: string, id: string, signature: Uint8Array}} NoteSignature */

const ED25519 = 1;

/** @param {string} code @param {string} message @returns {never} */
function refuse(code, message) {
  throw new Refusal(code, message);
}

/** Whether a text may name a key: no white space, no plus. @param {string} name */
const isName = (name) => name !== "" && !/[\s+\u0000-\u001f]/u.test(name);

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
 * @throws {Refusal} `note.shape`
 */
export function parseNote(note) {
  const end = note.lastIndexOf("\n\n");
  const lines = note.slice(end + 2).split("\n");
  if (end < 0 || lines.pop() !== "" || lines.length === 0) {
    return refuse("note.shape", "a note is a text, an empty line and signatures");
  }
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

/**
 * The text of a note as a checkpoint.
 * @param {string} text
 * @returns {{origin: string, size: number, root: string, keySetDigest: string | null, time: string | null}}
 * @throws {Refusal} `checkpoint.shape`
 */
export function parseCheckpoint(text) {
  const [origin, size, root, ...extensions] = text.replace(/\n$/u, "").split("\n");
  const bytes = root === undefined ? null : strictBase64(root);
  if (!origin || !/^(0|[1-9][0-9]{0,15})$/u.test(size ?? "") || bytes?.length !== 32) {
    return refuse("checkpoint.shape", "this is no checkpoint");
  }
  const valueOf = (name) => {
    return extensions.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1) ?? null;
  };
  const named = { keySetDigest: valueOf("key-set"), time: valueOf("time") };
  return { origin, size: Number(size), root: hex(bytes), ...named };
}
