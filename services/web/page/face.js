// One face: the photograph with its box, the crop with its heat, the caption with its words, and what others would do.

import { read } from "./api.js";
import { distribution } from "./charts.js";
import { button, el, fill, modal } from "./elements.js";
import { Heat } from "./heat.js";
import { crop, photograph } from "./pictures.js";
import { whatIf } from "./what_if.js";
import { FLAGS, aboutScores, count, learnedFrom, ordinal, reason, score, signed, spread } from "./words.js";

/** A dialog over the gallery; its address is the face's, so Back closes it. */
export class FaceView {
  constructor(gallery) {
    this.gallery = gallery;
  }

  get isOpen() {
    return Boolean(this.dialog);
  }

  /** Shows a face, which is at this place of the list; -1: it is not in it as far as it is loaded. */
  async open(id, place) {
    this.looking?.abort(); // at the one before
    const { signal } = (this.looking = new AbortController());
    this.place = place;
    if (!this.dialog) this.#begin();
    this.title.textContent = this.gallery.list.items[place]?.image.name ?? "A face";
    this.#turnable();
    fill(this.body, el("p", { class: "loading", role: "status" }, "Loading…"));
    try {
      const face = await read(`v1/faces/${id}`, { signal });
      const explained = face.score !== null && face.links.explanation;
      const images = `v1/jobs/${this.gallery.status.id}/results?cursor=${face.image.position}&limit=1`;
      const [why, told] = await Promise.all([
        explained ? read(`v1/faces/${id}/explanation`, { signal }) : null,
        read(images, { signal }),
      ]);
      if (!signal.aborted) this.#draw(face, why, told.results[0], signal);
    } catch (error) {
      if (signal.aborted || (await this.gallery.page.hasGone(error)) || signal.aborted) return;
      const message = error.status === 404 ? "This face is not here any more: it was deleted." : error.message;
      fill(this.body, el("p", { class: "wrong", role: "alert" }, message));
    }
  }

  close() {
    this.dialog?.close();
    this.#closed();
  }

  /** What stays from face to face: so whoever is on a button stays there. */
  #begin() {
    this.opener = document.activeElement;
    this.title = el("h2", { id: "face-title" });
    this.before = button("‹", () => this.#to(-1), { "aria-label": "Previous face" });
    this.after = button("›", () => this.#to(1), { "aria-label": "Next face" });
    const close = button("Close", () => this.close());
    this.body = el("div", {});
    const head = el("div", { class: "face-head" }, this.title, this.before, this.after, close);
    const listeners = { onclose: () => this.#closed(), onkeydown: (event) => this.#key(event) };
    this.dialog = el("dialog", { class: "face", "aria-labelledby": "face-title", ...listeners }, head, this.body);
    this.#turnable();
    modal(this.dialog);
    (this.after.getAttribute("aria-disabled") ? close : this.after).focus();
  }

  /** The browser says so a moment later, and by itself when somebody presses Escape. */
  #closed() {
    if (!this.dialog || this.dialog.open) return;
    this.looking.abort();
    this.dialog.remove();
    this.dialog = null;
    const { status, list, closed } = this.gallery;
    if (/\/faces\/\d+$/.test(location.hash)) history.replaceState(null, "", `#/jobs/${status.id}/faces`);
    if (closed) return;
    if (this.place >= 0) list.go(this.place);
    else if (this.opener?.isConnected) this.opener.focus();
  }

  #key(event) {
    if (event.target.matches("textarea, input, .region")) return;
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) this.#to(step);
  }

  #to(step) {
    const next = this.#beside(step);
    if (!next) return;
    history.replaceState(null, "", `#/jobs/${this.gallery.status.id}/faces/${next.id}`);
    this.open(next.id, this.place + step);
  }

  /** The face before or after this one in the list, if this one is in it as far as it is loaded. */
  #beside(step) {
    return this.place < 0 ? undefined : this.gallery.list.items[this.place + step];
  }

  /** Not by `disabled`, which would take the focus away from whoever is on the button. */
  #turnable() {
    for (const [turn, step] of [
      [this.before, -1],
      [this.after, 1],
    ]) {
      if (this.#beside(step)) turn.removeAttribute("aria-disabled");
      else turn.setAttribute("aria-disabled", "true");
    }
  }

  #draw(face, why, image, signal) {
    const { page, people } = this.gallery;
    const heat = why && face.links.crop ? new Heat(face, why) : null;
    const described = face.caption ?? "Not described, or its caption was not kept.";
    const small = face.links.crop ? crop(face) : el("p", { class: "quiet" }, "The crop was not kept.");
    this.title.textContent = face.image.name;
    fill(
      this.body,
      el(
        "div",
        { class: "face-grid" },
        el("div", { class: "pictures" }, photograph(face, image), heat?.picture ?? small),
        el(
          "div",
          {},
          this.#figures(face, signal),
          heat ? heat.words : el("p", {}, described),
          heat && [howItAdds(why), heat.tables],
          el("p", { class: "about" }, aboutScores(people.card)),
          heat && page.may("submit") && page.status.what_if !== true && whatIf(face, signal),
        ),
      ),
    );
  }

  #figures(face, signal) {
    const flags = face.flags.map((flag) => FLAGS[flag] ?? reason(flag)).join("; ");
    const holder = el(
      "div",
      { class: "about-face" },
      el("p", { class: "big" }, score(face), " ", el("span", { class: "quiet" }, spread(face))),
      el("p", {}, "Judged memorability, as the model predicts it", this.#places(face), "."),
      flags && el("p", { class: "wrong" }, `Trust this score less: ${flags}.`),
    );
    if (face.score !== null) this.#amongOthers(face, holder, signal);
    return holder;
  }

  #places(face) {
    return [
      face.percentile !== null &&
        `: ${ordinal(face.percentile)} percentile of ${learnedFrom(this.gallery.people.card)}`,
      face.rank !== null &&
        `; rank ${count(face.rank)} of ${count(face.scored)} in this set, ` +
          `${ordinal(face.percentile_in_set)} percentile of it`,
    ];
  }

  async #amongOthers(face, holder, signal) {
    try {
      const found = await this.gallery.findings();
      if (!signal.aborted && found.scores) holder.append(distribution(found, this.gallery.people, face));
    } catch (error) {
      if (signal.aborted) return;
      holder.append(
        el("p", { class: "quiet" }, `How the scores of this set lie cannot be shown now: ${error.message}`),
      );
    }
  }
}

const howItAdds = (why) =>
  el(
    "p",
    { class: "quiet" },
    `Red raises the score, blue lowers it; what they add to is the logit ${signed(why.logit, 2)}, `,
    `of which ${signed(why.constant, 2)} is the model's constant. `,
    "The parts say how this model added up, not why people remember.",
  );
