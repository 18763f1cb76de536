// "Verify in this browser": a button that loads the verifier from this mirror, verifies with it what
// the mirror serves of a record, and shows each check. The page is whole without it.

import { element, visible } from "./verifier/page.js";

const MOST_ROWS = 300;
const TONES = {
  agrees: "good",
  valid: "good",
  differs: "bad",
  "not valid": "odd",
  "not checked": "",
};

function row(check) {
  const outcome = element("span", { class: `tag ${TONES[check.outcome]}` }, check.outcome);
  const code = check.code ? [" ", element("a", { href: `/codes#${check.code}` }, check.code)] : [];
  const lines = check.compared.map((line) => element("li", {}, element("bdi", {}, visible(line))));
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, visible(check.what), element("small", {}, check.rules)),
    element("td", {}, element("ul", { class: "lines" }, ...lines)),
    element("td", {}, outcome, ...code),
  );
}

const ORDER = [["differs"], ["not valid"], ["agrees", "not checked"], ["valid"]];

/** The checks that are shown: first those that failed, last the items that are valid. */
function chosen(checks) {
  const sorted = ORDER.flatMap((some) => checks.filter((check) => some.includes(check.outcome)));
  return sorted.slice(0, MOST_ROWS);
}

function table(shown) {
  const head = ["Check", "Compared", "Result"].map((name) => element("th", { scope: "col" }, name));
  return element(
    "table",
    { class: "verified", "aria-label": "Checks" },
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...shown.map(row)),
  );
}

function verdict(words, isGood) {
  const sentence = element("p", {}, element("strong", {}, words));
  return element("div", { class: `verdict ${isGood ? "good" : "bad"}` }, sentence);
}

/** What a failure may mean, and what a success does not show. */
function advice({ checks, state }) {
  if (checks.some((check) => check.outcome === "differs")) {
    return (
      "If new facts were merged after this page was loaded, load it again and repeat. If the checks " +
      "fail again, keep the bundle and the state, and tell the operator."
    );
  }
  if (!state) return "It can be verified with the program of this mirror: mirror verify.";
  return (
    "A mirror that leaves the same event out of the bundle and of the state agrees with itself. " +
    "Compare the core digest with that of another mirror with the same keys:"
  );
}

/** What a person reads on the page; where it does not print as it is, the value behind it. */
function shownOnPage(place) {
  const copyable = (name) => document.querySelector(`[data-copy="${name}"]`).textContent;
  const kinds = [...document.querySelectorAll("#aliases + dl > dt")];
  return {
    pithNumber: copyable("Pith Number"),
    canonicalSha256: copyable("canonical hash"),
    stateDigest: copyable("state digest"),
    keySetDigest: place.dataset.keySetDigest,
    aliases: kinds.map((kind) => [kind.textContent, aliasIn(kind.nextElementSibling)]),
  };
}

function aliasIn(place) {
  const printed = place.querySelector(".copyable");
  return printed ? printed.textContent : JSON.parse(place.dataset.value);
}

async function fetched(url) {
  const response = await fetch(url, { cache: "no-cache" });
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

async function verify(place) {
  const { checkRecord, verdictOf } = await import(place.dataset.verifier);
  const names = ["bundle", "keys", "state"];
  const texts = await Promise.all(names.map((name) => fetched(place.dataset[name])));
  const served = Object.fromEntries(names.map((name, at) => [name, texts[at]]));
  const report = await checkRecord(served, shownOnPage(place));
  const shown = chosen(report.checks);
  const rest = report.checks.length - shown.length;
  const hasFailed = report.checks.some((check) => check.outcome === "differs");
  const isGood = report.state !== null && !hasFailed;
  const digest = report.state && isGood ? [element("code", {}, report.state.coreDigest)] : [];
  return [
    verdict(verdictOf(report), isGood),
    table(shown),
    ...(rest > 0 ? [element("p", { class: "meta" }, `${rest} more items are not shown.`)] : []),
    element("p", { class: "meta" }, advice(report), " ", ...digest),
  ];
}

function addButton(place) {
  const button = element("button", { type: "button", class: "button" }, "Verify in this browser");
  const result = element("div", {});
  const said = document.getElementById("said");
  let isRunning = false;
  button.addEventListener("click", async () => {
    if (isRunning) return;
    isRunning = true;
    said.textContent = "Verifying.";
    let content;
    try {
      content = await verify(place);
    } catch (error) {
      content = [verdict(`Not verified: ${visible(String(error.message))}`, false)];
    }
    result.replaceChildren(...content);
    said.textContent = content[0].textContent;
    isRunning = false;
  });
  place.querySelector("p").after(element("p", {}, button), result);
  place.hidden = false;
}

document.querySelectorAll("[data-verifier]").forEach(addButton);
