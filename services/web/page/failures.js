// Why images of a set failed, how many for each reason, and trying them again.

import { pause, read } from "./api.js";
import { button, el, redraw } from "./elements.js";
import { counted, reason } from "./words.js";

const APART_SECONDS = 15; // the service has to look through the set for each answer

/** On the page of a job. `retry(reasons)` has those tried again, if that is allowed. */
export class Failures {
  constructor(status, allowed, retry) {
    Object.assign(this, { status, allowed, retry, found: [], shown: "0" });
    this.element = el("section", { class: "failures", "aria-label": "Failures by reason" });
    this.changed(status);
  }

  /** `heard(reasons)` is called now and whenever others are known: those for which any image failed. Returns what is
   * to be done when nobody hears it any more. */
  listen(heard) {
    this.heard = heard;
    this.#draw();
    return () => {
      if (this.heard === heard) this.heard = null;
    };
  }

  close() {
    this.closed = true;
    this.hurry?.();
  }

  /** Looks again if another number has failed; the last change is not lost, and nobody is asked too often, but at once
   * when some are tried again. */
  async changed(status) {
    if (status.counts.failed < this.status.counts.failed) this.hurry?.();
    this.status = status;
    if (this.looking) return;
    this.looking = true;
    while (!this.closed && this.shown !== this.#wanted()) {
      const wanted = this.#wanted();
      try {
        this.found = this.status.counts.failed ? (await read(`v1/jobs/${status.id}/failures`)).reasons : [];
        this.shown = wanted;
        this.#draw();
      } catch (error) {
        if (error.status === 404) break; // the page says it
        this.#draw(error);
      }
      const hurry = new Promise((done) => Object.assign(this, { hurry: done }));
      await Promise.race([pause(APART_SECONDS), hurry]);
    }
    this.looking = false;
  }

  #wanted() {
    const { counts, state } = this.status;
    return counts.failed === 0 ? "0" : `${counts.failed} ${state === "cancelled"}`;
  }

  #draw(error = null) {
    this.heard?.(this.found.map((each) => each.reason));
    const images = this.found.reduce((sum, each) => sum + each.images, 0);
    redraw(
      this.element,
      error && el("p", { class: "wrong" }, `Why images failed cannot be told now: ${error.message}`),
      this.found.length > 0 && [
        el("h2", {}, `Failed: ${counted(images, "image")}`),
        el(
          "ul",
          {},
          this.found.map((each) => this.#row(each)),
        ),
      ],
    );
  }

  #row({ reason: code, images, retriable }) {
    const all = retriable === images;
    const some = all ? "can be tried again" : `${counted(retriable, "image")} of them can be tried again`;
    return el(
      "li",
      {},
      el("strong", {}, reason(code)),
      ` · ${counted(images, "image")} · `,
      el("span", { class: "quiet" }, retriable ? some : "cannot be tried again"),
      this.allowed &&
        retriable > 0 &&
        button("Try again", () => this.retry([code]), { "aria-label": `Try again: ${reason(code)}` }),
    );
  }
}
