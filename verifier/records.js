/** Chapter 2: records, their hash, their number and their aliases (R1 to R4). */

import { Refusal } from "./refusal.js";
import {
  base32,
  canonical,
  compareStrings,
  hasExactly,
  hex,
  isDigest,
  isFilled,
  isString,
  isTime,
} from "./values.js";
import { sha256 } from "./hashes.js";

/** @typedef {import("./json.js").Json} Json */

/** Whether the value has the pattern of a Pith Number (R3). @param {Json} value */
export function isPithNumber(value) {
  return isString(value) && /^pith:[0-9]{4}:[A-Z2-7]{26}$/.test(value);
}

/** @param {Json} source @returns {boolean} */
function isSource(source) {
  return (
    hasExactly(source, ["id", "kind", "version"]) &&
    isFilled(source.get("id")) &&
    isFilled(source.get("kind")) &&
    Number.isInteger(source.get("version")) && // a float is no number here
    source.get("version") >= 1
  );
}

/** Strings, strictly ascending. @param {Json} value @returns {boolean} */
function isAscending(value) {
  if (!Array.isArray(value) || !value.every(isString)) return false;
  return value.every((item, at) => at === 0 || compareStrings(value[at - 1], item) < 0);
}

const METADATA = new Map([
  ["abstract_canon_sha256", isDigest],
  ["title_canon_sha256", isDigest],
  ["cross_cats_sorted", isAscending],
  ["license", isString],
  ["primary_cat", isFilled],
  ["submitted_at", isTime],
]);

/** @param {Json} metadata @returns {boolean} */
function isMetadata(metadata) {
  if (!hasExactly(metadata, [...METADATA.keys()])) return false;
  return [...METADATA].every(([name, fits]) => fits(metadata.get(name)));
}

/** @param {Json} value @returns {boolean} R1 */
function isRecord(value) {
  return (
    hasExactly(value, ["schema_version", "source", "metadata"]) &&
    value.get("schema_version") === "1.0" &&
    isSource(value.get("source")) &&
    isMetadata(value.get("metadata"))
  );
}

/** A record whose shape R1 allows, with what follows from it alone. */
export class Record {
  /** @param {Json} value @throws {Refusal} `record.shape` */
  constructor(value) {
    if (!isRecord(value)) throw new Refusal("record.shape", "the record is not as R1 describes it");
    const hash = sha256(canonical(value));
    const year = value.get("metadata").get("submitted_at").slice(0, 4);
    /** @type {Map<string, Json>} */
    this.value = value;
    /** R2: 64 digits. @type {string} */
    this.canonicalSha256 = hex(hash);
    /** R3: 26 letters. @type {string} */
    this.suffix = base32(hash, 26);
    /** R3. @type {string} */
    this.pithNumber = `pith:${year}:${this.suffix}`;
    /** R3. @type {string} */
    this.shortPithNumber = `pith:${this.suffix.slice(0, 8)}`;
  }

  /** R4: pairs of kind and value, ascending by kind. @returns {[string, string][]} */
  aliases() {
    const source = this.value.get("source");
    const id = source.get("id");
    const named = [
      ["arxiv", id],
      ["arxiv_version", `${id}v${source.get("version")}`],
      ["doi", `10.48550/arxiv.${id}`],
    ];
    const short = ["12", "16", "8"].map((length) => [
      `pith_short_${length}`,
      this.suffix.slice(0, Number(length)),
    ]);
    return source.get("kind") === "arxiv" ? [...named, ...short] : short;
  }
}
