/** Chapter 1, by the tables of docs/protocol.md and by the corpus of JSON texts. */

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { sha256, sha512 } from "../hashes.js";
import { lines, parse } from "../json.js";
import {
  asciiForm,
  base32,
  canonical,
  canonicalText,
  compareStrings,
  digestOf,
  fromHex,
  hex,
  instant,
  payloadDigest,
  strictBase64,
  utf8,
} from "../values.js";
import { corpus } from "./samples.js";

/** The canonical text of a text, or the code that refuses it. @param {string | Uint8Array} text */
function read(text) {
  try {
    return canonicalText(parse(typeof text === "string" ? utf8(text) : text));
  } catch (error) {
    return error.code;
  }
}

const V1 = [
  ['{"a":1,"\\u0061":2}', "json.duplicate_key"],
  ['{"a":{"b":1,"b":2}}', "json.duplicate_key"],
  ["[9007199254740991]", "[9007199254740991]"],
  ["[-9007199254740991]", "[-9007199254740991]"],
  ["[9007199254740992]", "json.number"],
  ["[-9007199254740992]", "json.number"],
  ["[9007199254740992.0]", "[9007199254740992.0]"],
  ["[1e400]", "json.number"],
  ["[1.7976931348623157e308]", "[1.7976931348623157e+308]"],
  ["[1.7976931348623159e308]", "json.number"],
  ["[1e-400,-1e-400]", "[0.0,-0.0]"],
  ["[-0]", "[0]"],
  ["[-0.0]", "[-0.0]"],
  ["[NaN]", "json.number"],
  ["[Infinity]", "json.number"],
  ["[-Infinity]", "json.number"],
  ['"\\ud83d\\ude00"', '"😀"'],
  ['"\\ud83d"', "json.surrogate"],
  ['"\\ude00"', "json.surrogate"],
  ['"\\ude00\\ud83d"', "json.surrogate"],
  ['"\\ud83d\\u0041"', "json.surrogate"],
  ['"\\ud83d\\ud83d\\ude00"', "json.surrogate"],
  ...["[01]", "[1,]", "", " ", "[", "]", "{", '{"a"}', "{a:1}", "'a'", "[1]x", "[1]\0", "tru"].map(
    (text) => [text, "json.syntax"],
  ),
  ...["\ufeff[]", "[+1]", "[.5]", "[1.]", "[1e]", "[-]", "[0x1]", '"\\x"', '"\\u00g0"', '"\t"'].map(
    (text) => [text, "json.syntax"],
  ),
  ["\u00a0[]", "json.syntax"],
  ["\u2028[]", "json.syntax"],
  [" \t\r\n[ ] \t\r\n", "[]"],
  ["[".repeat(64) + "]".repeat(64), "[".repeat(64) + "]".repeat(64)],
  ["[".repeat(65) + "]".repeat(65), "json.depth"],
  ['{"a":'.repeat(65) + "1" + "}".repeat(65), "json.depth"],
];

for (const [text, expected] of V1) {
  test(`V1: ${JSON.stringify(text.slice(0, 40))}`, () => assert.equal(read(text), expected));
}

test("V1: bytes that are not UTF-8, or a surrogate in UTF-8", () => {
  for (const bytes of ["22ff22", "22eda08022", "22c08022", "22f490808022", "22e28222", "fffe5b005d00"]) {
    assert.equal(read(fromHex(bytes)), "json.syntax");
  }
});

test("V1: names of JavaScript's own mean nothing", () => {
  const text = '{"__proto__":{"a":1},"constructor":null,"toString":1,"hasOwnProperty":[]}';
  const sorted = '{"__proto__":{"a":1},"constructor":null,"hasOwnProperty":[],"toString":1}';
  assert.equal(read(text), sorted);
  assert.equal(read('{"__proto__":1,"__proto__":2}'), "json.duplicate_key");
});

test("V1: JSON Lines: blank lines are skipped, and a faulty line refuses only itself", () => {
  const found = [...lines(utf8('1\n\n \t\r\nx\n"\u00a0"\r\n2'))].map(read);
  assert.deepEqual(found, ["1", "json.syntax", '"\u00a0"', "2"]);
});

test("V1: large texts of one kind are read or refused at once", () => {
  const size = 1_000_000;
  assert.equal(read(`[${"9".repeat(size)}]`), "json.number");
  assert.equal(read(`[0.${"0".repeat(size)}1]`), "[0.0]");
  assert.equal(read(`[${"[],".repeat(size / 4)}[]]`).length, 3 * (size / 4) + 4);
  assert.equal(read(`"${"\\u00e9".repeat(size / 10)}"`).length, size / 10 + 2);
  assert.equal(read("[".repeat(size)), "json.depth");
  assert.equal(read(`${" ".repeat(size)}`), "json.syntax");
  assert.equal(read(`"${"a".repeat(size)}`), "json.syntax");
});

test("V2: the example of the page", () => {
  const text =
    '{"b": [1, 1.0, 1e0, 1E2, 0.00001, 1e16], "a": "\\u00e9\\/\\u001F\\n", ' +
    '"\\uff5e": 1, "\\ud83d\\ude00": 2, "B": null}';
  const expected = '{"B":null,"a":"é/\\u001f\\n","b":[1,1.0,1.0,100.0,1e-05,1e+16],"～":1,"😀":2}';
  assert.equal(read(text), expected);
});

const FLOATS = [
  ["1.0", "0.0001", "100000.0", "1e-05", "1e+16", "1.2345678901234568e+17", "5e-324"],
  ["0.1", "123.456", "9999999999999998.0", "1e+22", "2.2250738585072014e-308", "1e-07"],
  ["0.00012345", "1234567890123456.0", "12345678901234.5", "1e+100", "1.5e-100", "-0.0"],
].flat();

test("V2: floats as CPython writes them", () => {
  for (const text of FLOATS) assert.equal(read(text), text);
});

test("V2: only three kinds of character are escaped", () => {
  const controls = Array.from({ length: 32 }, (_, code) => String.fromCharCode(code)).join("");
  const expected = JSON.stringify(controls); // ECMAScript escapes these as V2 does
  assert.equal(canonicalText(controls), expected);
  assert.equal(canonicalText('/\u007f\u0080\u2028\ufffd"\\'), '"/\u007f\u0080\u2028\ufffd\\"\\\\"');
});

test("V2, V6: strings ascend by code point, not by UTF-16 unit", () => {
  const ascending = ["", "A", "a", "a\u0000", "é", "\ud7ff", "\ue000", "～", "\uffff", "😀", "\u{10ffff}"];
  const shuffled = [...ascending].reverse().sort(compareStrings);
  assert.deepEqual(shuffled, ascending);
});

test("V3, V4: the digests of the page", () => {
  const empty = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
  assert.equal(digestOf(new Map()), empty);
  assert.equal(
    payloadDigest([]),
    "258153158e38e3291e3d48162225fcdb2d5a3ed65a07baac614ab91432fd4f57",
  );
  assert.equal(
    payloadDigest(new Map()),
    "f41c00b7fbccb500a1bd30754ee4150563441ae6c2900f5d917c80962428b48a",
  );
});

test("V3: own hashes are those of Node, at every length around the edges of blocks", async () => {
  const { createHash } = await import("node:crypto");
  for (let length = 0; length < 300; length += 1) {
    const bytes = Uint8Array.from({ length }, (_, at) => (at * 7 + length) & 0xff);
    assert.equal(hex(sha256(bytes)), createHash("sha256").update(bytes).digest("hex"));
    assert.equal(hex(sha512(bytes)), createHash("sha512").update(bytes).digest("hex"));
  }
});

test("V5: times", () => {
  const at = instant("2026-05-18T00:41:52Z");
  assert.equal(instant("2026-05-18T00:41:52+00:00"), at);
  assert.ok(instant("2026-05-18T00:41:52.000001Z") > at);
  assert.ok(instant("2026-05-18T00:41:52.5Z") < instant("2026-05-18T00:41:52.500001Z"));
  assert.equal(instant("2026-05-18T00:41:52.5Z"), instant("2026-05-18T00:41:52.500000+00:00"));
  const dates = ["0001-01-01", "1999-12-31", "2000-02-29", "2024-02-29", "2026-04-30", "9999-12-31"];
  const instants = dates.map((date) => instant(`${date}T23:59:59Z`));
  assert.deepEqual(instants, instants.toSorted());
  assert.ok(!instants.includes(null));
});

test("V5: no times", () => {
  const days = ["2026-02-29", "1900-02-29", "2026-00-01", "2026-13-01", "2026-04-31", "2026-01-00"];
  const clocks = ["24:00:00Z", "00:60:00Z", "00:41:60Z", "00:41:52z", "00:41:52+01:00", "00:41:52"];
  const odd = ["00:41:52.Z", "00:41:52.1234567Z", "00:41:52Z\n", "00:41:5२Z", "00:41:52-00:00"];
  for (const day of [...days, "0000-01-01"]) assert.equal(instant(`${day}T00:00:00Z`), null);
  for (const clock of [...clocks, ...odd]) assert.equal(instant(`2026-05-18T${clock}`), null);
  for (const value of ["2026-05-18 00:41:52Z", "", null, 1, [], new Map()]) {
    assert.equal(instant(value), null);
  }
});

test("V6: strict base64 has one spelling for each byte string", () => {
  assert.deepEqual(strictBase64("AA=="), Uint8Array.of(0));
  for (const text of ["AB==", "AA=", "_w==", "", "AA==\n", "A===", "====", "AA=A", "AAB=", "é==="]) {
    assert.equal(strictBase64(text), null);
  }
  for (let length = 1; length < 70; length += 1) {
    const bytes = Uint8Array.from({ length }, (_, at) => (at * 89 + length) & 0xff);
    assert.deepEqual(strictBase64(Buffer.from(bytes).toString("base64")), bytes);
  }
});

test("V7: the ASCII form", () => {
  assert.equal(asciiForm("~\u007f"), '"~\\u007f"');
  assert.equal(asciiForm("é"), '"\\u00e9"');
  assert.equal(asciiForm("😀"), '"\\ud83d\\ude00"');
  const both = new Map([["😀", 1], ["～", 2]]);
  assert.equal(asciiForm(both), '{"\\uff5e":2,"\\ud83d\\ude00":1}');
});

test("R3: base32 of a hash", () => {
  const hash = "fc9cb76bd35bf3134a37d1cfad7c48154932c3bb6a1ea5cfe29d2d97bacadff6";
  assert.equal(base32(fromHex(hash), 52), "7SOLO26TLPZRGSRX2HH227CICVETFQ53NIPKLT7CTUWZPOWK373A");
  assert.equal(base32(new Uint8Array(32), 26), "A".repeat(26));
});

const TEXTS = corpus("jsontestsuite/test_parsing/");

test("V1: the corpus of JSON texts", { skip: TEXTS ? false : "the corpora are absent" }, () => {
  // Valid JSON that V1 refuses for a name that comes twice.
  const repeated = ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"];
  for (const name of readdirSync(TEXTS)) {
    const bytes = readFileSync(new URL(encodeURIComponent(name), TEXTS));
    const isRefused = String(read(bytes)).startsWith("json.");
    if (name.startsWith("n_")) assert.ok(isRefused, name);
    if (name.startsWith("y_")) assert.equal(isRefused, repeated.includes(name), name);
    if (!isRefused) assert.deepEqual(canonical(parse(bytes)), canonical(parse(canonical(parse(bytes)))));
  }
});
