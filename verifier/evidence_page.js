/** The page of an evidence file: it verifies the document in the file, and shows what holds. */

import { checkEvidence } from "./evidence.js";
import { element, quoted, table } from "./page.js";
import { Refusal } from "./refusal.js";
import { isObject, isString, utf8 } from "./values.js";

/** @typedef {import("./evidence.js").CheckedEvidence} CheckedEvidence */

const MOST_ROWS = 500;
const TONES = { holds: "good", fails: "bad", claimed: "odd", "not checked": "" };

/** @param {CheckedEvidence} checked */
function verdictOf(checked) {
  const count = (status) => checked.checks.filter((one) => one.status === status).length;
  if (!checked.holds) return `${count("fails")} of ${checked.checks.length} checks failed.`;
  if (!checked.facts) return "The record in this file cannot be verified here.";
  const others = count("not checked");
  const left = others > 0 ? ` ${others} could not be made: see below.` : "";
  return `All ${count("holds")} checks that this file can make of itself hold.${left}`;
}

/** @param {string} status */
const tag = (status) => element("span", { class: `tag ${TONES[status]}` }, status);

/** @param {CheckedEvidence} checked */
function checksTable({ checks }) {
  const rows = checks.slice(0, MOST_ROWS).map((one) => {
    return [quoted(one.name), quoted(one.words), tag(one.status)];
  });
  const more = checks.length - rows.length;
  const left = more > 0 ? `, the first ${MOST_ROWS} of ${checks.length}` : "";
  return table(`Checks${left}`, ["Check", "Result in words", "Result"], rows);
}

/** @param {CheckedEvidence} checked */
function trustList({ trusts }) {
  const all = [...trusts, "this page’s own program, which did the checks"];
  return element("ul", {}, ...[...new Set(all)].map((one) => element("li", {}, quoted(one))));
}

/** The title in the last graph snapshot, if there is one. @param {State} state */
function claimedTitle({ value }) {
  const last = value.get("current").get("graph_snapshots").at(-1);
  const paper = last?.get("payload").get("graph_snapshot").get("paper");
  const title = isObject(paper) ? paper.get("title") : undefined;
  return isString(title) ? [["Title, as a signed snapshot claims", title]] : [];
}

/** What the record says of the paper. @param {CheckedEvidence} checked */
function recordList({ facts }) {
  const { record } = facts.bundle;
  const [metadata, source] = ["metadata", "source"].map((name) => record.value.get(name));
  const pairs = [
    ...claimedTitle(facts.state),
    ["Pith Number", record.pithNumber],
    ["Hash of the record", record.canonicalSha256],
    ["Source", `${source.get("kind")}: ${source.get("id")}, version ${source.get("version")}`],
    ["Submitted", metadata.get("submitted_at")],
    ["Categories", [metadata.get("primary_cat"), ...metadata.get("cross_cats_sorted")].join(", ")],
    ["License", metadata.get("license")],
  ];
  const items = pairs.flatMap(([name, value]) => {
    return [element("dt", {}, name), element("dd", {}, quoted(value))];
  });
  return element("dl", { class: "facts" }, ...items);
}

/** The status of a valid event in the state. @param {State} state @returns {(id: string) => string} */
function statuses({ value }) {
  const retired = new Map(value.get("retired_events").map((one) => {
    return [one.get("event_id"), one.get("reason")];
  }));
  return (id) => retired.get(id) ?? "in force";
}

/** @param {CheckedEvidence} checked */
function eventsTable({ facts }) {
  const statusOf = statuses(facts.state);
  const all = facts.bundle.events;
  const rows = all.slice(0, MOST_ROWS).map(({ event, code }, at) => {
    if (!event) return [String(at + 1), "", "", "", `not verified: ${code}`].map(quoted);
    const signer = event.signer.get("signer_id");
    return [String(at + 1), event.type, event.createdAt, signer, statusOf(event.id)].map(quoted);
  });
  const left = all.length > rows.length ? `, the first ${MOST_ROWS} of ${all.length}` : "";
  const head = ["Event", "Type", "Claimed time", "Signer", "Status"];
  return table(`Events${left}`, head, rows);
}

/** A part of the document, as it is. @param {string} name @param {string} text */
function raw(name, text) {
  const summary = element("summary", {}, `${name}, ${text.length} characters`);
  return element("details", {}, summary, element("pre", {}, text));
}

/** @param {string} heading @param {...Node} children */
function section(heading, ...children) {
  return element("section", {}, element("h2", {}, heading), ...children);
}

/** @param {CheckedEvidence} checked @returns {Node[]} */
function sections(checked) {
  const parts = ["key_set", "bundle", "state"].map((name) => raw(name, checked.document.get(name)));
  const facts = checked.facts
    ? [section("Record", recordList(checked)), section("Events", eventsTable(checked))]
    : [];
  return [
    section("What holds, and what is only claimed", checksTable(checked)),
    section("Whom you must still trust", trustList(checked)),
    ...facts,
    section("Data", ...parts),
  ];
}

/** @param {string} words @param {boolean} isGood */
function showVerdict(words, isGood) {
  const place = document.getElementById("verdict");
  place.className = `verdict ${isGood ? "good" : "bad"}`;
  place.replaceChildren(element("strong", {}, words));
}

/** Verify the document in the page, and show the results. */
export async function showEvidence() {
  const main = document.querySelector("main");
  try {
    const bytes = utf8(document.getElementById("evidence").textContent);
    const checked = await checkEvidence(bytes);
    showVerdict(verdictOf(checked), checked.holds && checked.facts !== null);
    main.append(element("p", { class: "pith-number" }, quoted(checked.pithNumber)), ...sections(checked));
  } catch (error) {
    const words = error instanceof Refusal ? `${error.code}: ${error.message}` : String(error);
    showVerdict(`This file cannot be read: ${words}`, false);
  }
}
