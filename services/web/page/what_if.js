// What a face would score under other words.

import { pause, read, send } from "./api.js";
import { coloured } from "./caption.js";
import { button, el, fill } from "./elements.js";
import { score, signed, spread } from "./words.js";

/** A form for other words; `signal` is aborted when the face is not looked at any more. */
export function whatIf(face, signal) {
  const text = el("textarea", { id: "other-words", rows: 4, maxlength: 2000, value: face.caption ?? "" });
  const outcome = el("div", { "aria-live": "polite" });
  const go = button("Score these words", undefined, { type: "submit", class: "main" });
  const trial = async (event) => {
    event.preventDefault();
    if (go.disabled) return;
    go.disabled = true;
    fill(outcome, el("p", {}, "Scoring…"));
    try {
      fill(outcome, compared(face, await scored(face, text.value, signal)));
    } catch (error) {
      if (!signal.aborted) fill(outcome, el("p", { class: "wrong" }, error.message));
    }
    go.disabled = false;
  };
  return el(
    "details",
    { class: "what-if" },
    el("summary", {}, "What if it were described otherwise?"),
    el(
      "form",
      { onsubmit: trial },
      el("label", { for: "other-words" }, "Other words for this face; it keeps its score"),
      text,
      el("div", { class: "actions" }, go),
    ),
    outcome,
  );
}

/** The face under other words, when it is scored. */
async function scored(face, caption, signal) {
  let job = await send(`v1/faces/${face.id}/rescore`, { caption }, "POST", {}, { signal });
  while (job.state === "running") {
    job = await read(`v1/jobs/${job.id}?wait=30`, { signal });
    if (job.state === "running") await pause(1);
    signal.throwIfAborted();
  }
  const [image] = (await read(`v1/jobs/${job.id}/results`, { signal })).results;
  if (!image?.faces[0] || image.faces[0].score === null) throw new Error(image?.detail ?? "It could not be scored.");
  return image.faces[0];
}

function compared(old, other) {
  const side = (title, face) =>
    el(
      "div",
      { class: "side" },
      el("h3", {}, title),
      el("p", { class: "big" }, score(face), " ", el("span", { class: "quiet" }, spread(face))),
      coloured(face),
    );
  return [
    el("div", { class: "sides" }, side("As it was described", old), side("In your words", other)),
    el(
      "p",
      {},
      `Other words change the score by ${signed(other.score - old.score)}. `,
      "It shows what the model makes of words, not what people would remember.",
    ),
  ];
}
