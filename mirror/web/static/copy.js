// Buttons that copy what stands beside them. Pages are whole without them.
"use strict";

const said = document.getElementById("said");

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No clipboard for pages over plain HTTP: the old way, through a field.
  }
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  field.setAttribute("aria-hidden", "true");
  document.body.append(field);
  field.select();
  const isDone = document.execCommand("copy");
  field.remove();
  return isDone;
}

function addButton(element) {
  const name = element.dataset.copy;
  const text = element.textContent;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy the ${name}`);
  button.addEventListener("click", async () => {
    const isDone = await copy(text);
    button.focus();
    button.textContent = isDone ? "Copied" : "Not copied";
    said.textContent = isDone ? `The ${name} was copied.` : `The ${name} could not be copied.`;
    setTimeout(() => { button.textContent = "Copy"; said.textContent = ""; }, 2000);
  });
  if (element.tagName === "PRE") {
    const frame = document.createElement("div");
    frame.className = "command-frame";
    element.before(frame);
    frame.append(element, button);
  } else {
    element.after(" ", button);
  }
}

document.querySelectorAll("[data-copy]").forEach(addButton);
