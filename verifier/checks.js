/**
 * What a mirror serves of one record, held against itself: for the page of a record and for people.
 *
 * Each check says what was compared with what. Nothing here trusts the mirror's verdicts: they are
 * what is checked.
 */

import { compose, parseBundle, verifyBundle } from "./bundles.js";
import { differences } from "./comparison.js";
import { parse } from "./json.js";
import { BUILT_IN, parseKeySet } from "./keys.js";
import { merge } from "./merge.js";
import { Refusal } from "./refusal.js";
import { canonicalText, isObject, isString, utf8 } from "./values.js";

/** @typedef {import("./json.js").Json} Json */
/** @typedef {import("./keys.js").KeySet} KeySet */
/** @typedef {import("./bundles.js").VerifiedBundle} VerifiedBundle */
/** @typedef {import("./merge.js").State} State */
/**
 * @typedef {object} Served texts as the mirror sent them
 * @property {Uint8Array} bundle B6
 * @property {Uint8Array} keys a key set file with all trusted keys
 * @property {Uint8Array} state M13
 */
/**
 * @typedef {object} Shown what the mirror's page shows
 * @property {string} pithNumber
 * @property {string} canonicalSha256
 * @property {string} stateDigest
 * @property {string} keySetDigest
 * @property {[string, string][]} aliases pairs of kind and value
 */
/**
 * @typedef {"agrees" | "differs" | "valid" | "not valid" | "not checked"} Outcome the first two of
 *   what is compared; the next two of items that the rules judge: one that they refuse is no
 *   contradiction, if the mirror's state says so, too
 */
/**
 * @typedef {object} Check
 * @property {string} what was checked
 * @property {string} rules such as `R2, R3`
 * @property {Outcome} outcome
 * @property {string[]} compared sentences: what was found, and what it was compared with
 * @property {string} code of chapter 9, or empty
 */
/**
 * @typedef {object} Report
 * @property {Check[]} checks
 * @property {KeySet | null} keys
 * @property {State | null} state as it was merged here
 */

/** @returns {Check} */
const check = (what, rules, outcome, compared, code = "") => {
  return { what, rules, outcome, compared, code };
};

/** Two things that must be the same. @returns {Check} */
function comparison(what, rules, here, there, place) {
  if (here === there) return check(what, rules, "agrees", [`${here}, here and ${place}`]);
  return check(what, rules, "differs", [`here: ${here}`, `${place}: ${there}`]);
}

/** The result of the work, or null and a check that says why a text was refused. */
async function attempted(what, rules, checks, work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const isUnsupported = error.code === "profiles.unsupported"; // this program's own code
    const [outcome, code] = isUnsupported ? ["not checked", ""] : ["differs", error.code];
    checks.push(check(what, rules, outcome, [error.message], code));
    return null;
  }
}

const ON_THE_PAGE = "on the page";

/** @param {KeySet} keys @param {Shown} shown @returns {Check[]} */
function checksOfKeys(keys, shown) {
  const digest = comparison("Key set digest", "K3", keys.digest(), shown.keySetDigest, ON_THE_PAGE);
  const isThere = keys.get(BUILT_IN.id) !== undefined; // with another point, the set was refused
  const point = BUILT_IN.value.get("public_key_hex");
  const words = isThere ? `${point}, in this program and in the key set` : "not in the key set";
  const outcome = isThere ? "agrees" : "not checked";
  return [digest, check(`Key ${BUILT_IN.id} of the registry`, "K2", outcome, [words])];
}

/** @param {VerifiedBundle} bundle @param {Shown} shown @returns {Check[]} */
function checksOfRecord({ record }, shown) {
  return [
    comparison("Hash of the record", "R2", record.canonicalSha256, shown.canonicalSha256, ON_THE_PAGE),
    comparison("Pith Number of that hash", "R3", record.pithNumber, shown.pithNumber, ON_THE_PAGE),
  ];
}

/** A verdict on an item of the bundle. @returns {Check} */
function verdict(what, rules, code, words) {
  return check(what, rules, code ? "not valid" : "valid", [words], code ?? "");
}

/** A member of an item that may be anything, as text. @param {Json} value @param {...string} names */
function member(value, ...names) {
  let found = value;
  for (const name of names) found = isObject(found) ? found.get(name) : undefined;
  return isString(found) ? found : "(none)";
}

function checkOfReceipt({ value, code }, at) {
  const words = `signature of the record’s hash by the key ${member(value, "key_id")}`;
  return verdict(`Receipt ${at + 1}`, "S2, S1", code, words);
}

function checkOfEvent({ value, code }, at) {
  const id = member(value, "event_id").slice(0, 19);
  const [signer, key] = [member(value, "signer", "signer_id"), member(value, "signer", "key_id")];
  const words = `${id}…, claimed time ${member(value, "created_at")}, signer ${signer}, key ${key}`;
  return verdict(`Event ${at + 1}: ${member(value, "event_type")}`, "E1 to E4, S1", code, words);
}

/** @param {VerifiedBundle} bundle @returns {Check[]} */
function checksOfBundle(bundle) {
  const faults = bundle.findings.filter(({ code }) => code.startsWith("bundle."));
  return [
    ...faults.map(({ code, where }) => {
      return check("Part of the bundle", "B3", "differs", [`${where} is not of its record`], code);
    }),
    ...bundle.receipts.map(checkOfReceipt),
    ...bundle.events.map(checkOfEvent),
  ];
}

/** R4 against the page. @param {VerifiedBundle} bundle @param {Shown} shown @returns {Check[]} */
function checksOfAliases({ record }, shown) {
  const [ours, theirs] = [record.aliases(), shown.aliases].map((pairs) => new Map(pairs));
  const kinds = [...new Set([...ours.keys(), ...theirs.keys()])];
  return kinds.map((kind) => {
    const [here, there] = [ours, theirs].map((one) => one.get(kind) ?? "(none)");
    return comparison(`Alias ${kind}`, "R4", here, there, ON_THE_PAGE);
  });
}

/** Differences that are named. */
const MOST_REASONS = 5;

const CAUSES = new Map([
  ["record.changed", "it is the state of another record"],
  ["record.digest", "its record does not give the Pith Number"],
  ["event.content", "it shows an event with other content"],
  ["event.missing_here", "it names an event that is not in the bundle"],
  ["event.missing_upstream", "it leaves out an event that is in the bundle"],
  ["event.revoked", "it shows an event that was revoked"],
  ["event.superseded", "it shows an event that was superseded"],
  ["event.withdrawn", "it shows an event that was withdrawn"],
]);

/** The members of a state, and of its `current`, each as text. @param {Map<string, Json>} state */
function memberTexts(state) {
  const members = [...state, ...state.get("current")].filter(([name]) => name !== "current");
  return new Map(members.map(([name, value]) => [name, canonicalText(value)]));
}

/** The names of members in which states differ. @returns {string[]} */
function differingMembers(state, other) {
  const [here, there] = [memberTexts(state), memberTexts(other)];
  const names = [...new Set([...here.keys(), ...there.keys()])];
  return names.filter((name) => here.get(name) !== there.get(name));
}

/**
 * Why a served state is not the one that was merged.
 * @param {State} state @param {Uint8Array} text @returns {string[]}
 */
function reasons(state, text) {
  try {
    const served = parse(text);
    const words = differences(state.value, served).slice(0, MOST_REASONS).map(({ code, id }) => {
      return id ? `${CAUSES.get(code)}: ${id}` : CAUSES.get(code);
    });
    const names = differingMembers(state.value, served);
    if (names.length === 0) return ["its members are in another order, or spelled otherwise"];
    return [...words, `these members differ: ${names.join(", ")}`];
  } catch {
    return ["it is not a state"]; // not JSON, or without the members of M6
  }
}

/** A text as it was served, and the same text made here. @returns {Check} */
function checkOfText(what, rules, text, served, why) {
  const here = utf8(text);
  const isSame = here.length === served.length && here.every((byte, at) => byte === served[at]);
  if (isSame) return check(what, rules, "agrees", [`all ${here.length} bytes are as made here`]);
  return check(what, rules, "differs", ["not as made here from the bundle:", ...why()]);
}

/** @param {State} state @param {Served} served @param {Shown} shown @returns {Check[]} */
function checksOfState(state, served, shown) {
  const why = () => reasons(state, served.state);
  return [
    comparison("State digest", "M1 to M12", state.digest, shown.stateDigest, ON_THE_PAGE),
    checkOfText("State as served", "M13", state.text, served.state, why),
  ];
}

/** @param {VerifiedBundle} bundle @param {Served} served @returns {Check} */
function checkOfBundleText(bundle, served) {
  const why = () => ["facts come twice or in another order, or are spelled otherwise"];
  return checkOfText("Bundle as served", "B6", compose([bundle]), served.bundle, why);
}

/**
 * All that can be checked of a record without trusting the mirror's own verdicts.
 * @param {Served} served @param {Shown} shown @returns {Promise<Report>}
 */
export async function checkRecord(served, shown) {
  const checks = [];
  const report = { checks, keys: null, state: null };
  const keys = await attempted("Key set", "K2", checks, () => {
    return parseKeySet(served.keys, { withBuiltIn: false });
  });
  if (!keys) return report;
  checks.push(...checksOfKeys(keys, shown));
  const bundle = await attempted("Bundle", "V1, B1, B2", checks, () => {
    return verifyBundle(parseBundle(served.bundle), keys);
  });
  if (!bundle) return { ...report, keys };
  const state = merge([bundle]);
  checks.push(
    ...checksOfRecord(bundle, shown),
    checkOfBundleText(bundle, served),
    ...checksOfBundle(bundle),
    ...checksOfAliases(bundle, shown),
    ...checksOfState(state, served, shown),
  );
  return { checks, keys, state };
}

/** Failed checks that the verdict names. */
const MOST_NAMES = 4;

/**
 * The report in one sentence.
 * @param {Report} report @returns {string}
 */
export function verdictOf({ checks, state }) {
  const failed = checks.filter((one) => one.outcome === "differs").map((one) => one.what);
  if (failed.length > 0) {
    const names = failed.slice(0, MOST_NAMES).join(", ");
    const more = failed.length > MOST_NAMES ? " and more" : "";
    const count = `${failed.length} of ${checks.length} checks failed`;
    return `This mirror contradicts itself: ${count}: ${names}${more}.`;
  }
  if (!state) return "This record cannot be verified here.";
  const count = (outcome) => checks.filter((one) => one.outcome === outcome).length;
  return `The page agrees with the evidence: ${count("agrees")} comparisons agree. ${judged(count)}`;
}

/** @param {(outcome: Outcome) => number} count */
function judged(count) {
  const [valid, invalid] = [count("valid"), count("not valid")];
  if (valid + invalid === 0) return "The bundle holds no events and no receipts.";
  const items = `Of its events and receipts, ${valid} are valid`;
  if (invalid === 0) return `${items}.`;
  return `${items}; ${invalid} items are not, and the state says the same.`;
}
