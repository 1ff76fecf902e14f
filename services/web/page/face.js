// One face: the photograph with its box, the crop with its heat, the caption with its words, and what other words would do.

import { pause, read, send, show } from "./api.js";
import { coloured } from "./caption.js";
import { distribution } from "./charts.js";
import { button, el, fill, svg } from "./elements.js";
import { Heat } from "./heat.js";
import { FLAGS, count, ordinal, reason, score, signed, spread } from "./words.js";

/** A dialog over the gallery; its address is the face's, so Back closes it. */
export class FaceView {
  constructor(gallery) {
    this.gallery = gallery;
  }

  get isOpen() {
    return Boolean(this.dialog);
  }

  async open(id, place) {
    const job = this.gallery.status.id;
    if (!this.dialog) {
      this.opener = document.activeElement;
      this.dialog = el("dialog", {
        class: "face",
        "aria-label": "A face",
        onclose: () => this.#closed(),
        onkeydown: (event) => this.#turn(event),
      });
      document.body.append(this.dialog);
      this.dialog.showModal();
    }
    this.place = place;
    const was = this.dialog.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
    fill(this.dialog, el("p", { class: "loading" }, "Loading…"));
    try {
      const face = await read(`v1/faces/${id}`);
      const why = face.score === null || !face.links.explanation ? null : await read(`v1/faces/${id}/explanation`);
      const image = (await read(`v1/jobs/${job}/results?cursor=${face.image.position}&limit=1`)).results[0];
      if (this.dialog && location.hash.endsWith(`/${id}`)) this.#draw(face, why, image, was);
    } catch (error) {
      fill(
        this.dialog,
        el("p", { class: "wrong" }, error.message),
        button("Close", () => this.dialog.close()),
      );
    }
  }

  close() {
    this.dialog?.close();
  }

  #closed() {
    this.dialog.remove();
    this.dialog = null;
    const { id } = this.gallery.status;
    if (/\/faces\/\d+$/.test(location.hash)) history.replaceState(null, "", `#/jobs/${id}/faces`);
    this.opener?.isConnected && this.opener.focus();
  }

  #turn(event) {
    if (event.target.matches("textarea, input, .region")) return;
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) this.#to(step);
  }

  #to(step) {
    const next = this.#beside(step);
    if (next) {
      history.replaceState(null, "", `#/jobs/${this.gallery.status.id}/faces/${next.id}`);
      this.open(next.id, this.place + step);
    }
  }

  /** The face before or after this one in the list, if this one is in it as far as it is loaded. */
  #beside(step) {
    return this.place < 0 ? undefined : this.gallery.list.items[this.place + step];
  }

  #draw(face, why, image, was) {
    const heat = why && face.links.crop ? new Heat(face, why) : null;
    fill(
      this.dialog,
      el(
        "div",
        { class: "face-head" },
        el("h2", {}, face.image.name),
        button("‹", () => this.#to(-1), { "aria-label": "Previous face", disabled: !this.#beside(-1) }),
        button("›", () => this.#to(1), { "aria-label": "Next face", disabled: !this.#beside(1) }),
        button("Close", () => this.dialog.close()),
      ),
      el(
        "div",
        { class: "face-grid" },
        el("div", { class: "pictures" }, photograph(face, image), heat?.picture ?? crop(face)),
        el(
          "div",
          {},
          this.#figures(face),
          heat ? heat.words : el("p", {}, face.caption ?? "Not described, or its caption was not kept."),
          heat && [
            el(
              "p",
              { class: "quiet" },
              `Red raises the score, blue lowers it; what they add to is the logit ${signed(why.logit, 2)}, of which ${signed(why.constant, 2)} is the model's constant. The parts say how this model added up, not why people remember.`,
            ),
            heat.tables,
          ],
          heat && this.gallery.status.what_if !== true && this.#whatIf(face),
        ),
      ),
    );
    const enabled = [...this.dialog.querySelectorAll(".face-head button:not([disabled])")];
    (enabled.find((each) => was && each.getAttribute("aria-label") === was) ?? enabled[0]).focus();
  }

  #figures(face) {
    const holder = el(
      "div",
      { class: "about-face" },
      el("p", { class: "big" }, score(face), " ", el("span", { class: "quiet" }, spread(face))),
      el(
        "p",
        {},
        "Judged memorability, as the model predicts it",
        face.percentile !== null &&
          `: ${ordinal(face.percentile)} percentile of the synthetic faces that it learned from`,
        face.rank && `, rank ${count(face.rank)} of ${count(this.gallery.scored)} in this set`,
        ".",
      ),
      face.flags.length > 0 &&
        el(
          "p",
          { class: "wrong" },
          `Trust this score less: ${face.flags.map((flag) => FLAGS[flag] ?? reason(flag)).join("; ")}.`,
        ),
    );
    if (face.score !== null) {
      const job = this.gallery.status.id;
      read(`v1/jobs/${job}/insights`).then(
        ({ scores }) => scores && holder.append(distribution(scores, this.gallery.reference, face)),
        (error) =>
          holder.append(
            el("p", { class: "quiet" }, `How the scores of this set lie cannot be shown now: ${error.message}`),
          ),
      );
    }
    return holder;
  }

  #whatIf(face) {
    const text = el("textarea", { id: "other-words", rows: 4, maxlength: 2000, value: face.caption ?? "" });
    const outcome = el("div", { "aria-live": "polite" });
    const trial = async (event) => {
      event.preventDefault();
      fill(outcome, el("p", {}, "Scoring…"));
      try {
        fill(outcome, compared(face, await scored(face, text.value)));
      } catch (error) {
        fill(outcome, el("p", { class: "wrong" }, error.message));
      }
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
        el("div", { class: "actions" }, button("Score these words", undefined, { type: "submit", class: "main" })),
      ),
      outcome,
    );
  }
}

/** The face under other words, when it is scored. */
async function scored(face, caption) {
  let job = await send(`v1/faces/${face.id}/rescore`, { caption });
  while (job.state === "running") {
    job = await read(`v1/jobs/${job.id}?wait=30`);
    if (job.state === "running") await pause(1);
  }
  const [image] = (await read(`v1/jobs/${job.id}/results`)).results;
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
      `Other words change the score by ${signed(other.score - old.score)}. It shows what the model makes of words, not what people would remember.`,
    ),
  ];
}

function photograph(face, image) {
  if (!image?.links.photo) return null;
  const picture = el("img", { alt: `The photograph ${image.image}` });
  show(picture, image.links.photo);
  const box = (each) => {
    const [left, top, right, bottom] = each.box;
    return svg("rect", {
      class: each.id === face.id ? "box" : "box other",
      x: left,
      y: top,
      width: right - left,
      height: bottom - top,
    });
  };
  return el(
    "figure",
    { class: "photograph" },
    el(
      "div",
      { class: "over" },
      picture,
      image.width &&
        svg("svg", { viewBox: `0 0 ${image.width} ${image.height}`, "aria-hidden": "true" }, image.faces.map(box)),
    ),
    el(
      "figcaption",
      { class: "quiet" },
      image.faces.length > 1 ? `${image.faces.length} faces; this one is framed` : "The photograph",
    ),
  );
}

function crop(face) {
  if (!face.links.crop) return el("p", { class: "quiet" }, "The crop was not kept.");
  const picture = el("img", { alt: "The face as the model saw it", width: 224, height: 224 });
  show(picture, face.links.crop);
  return picture;
}
