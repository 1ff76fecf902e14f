// How far a set has been sent: in all, and each file that is on its way.

import { button, el } from "./elements.js";
import { bytes, count, counted, seconds } from "./words.js";

export class SendingProgress {
  /** `region` is told in a few words what this shows. */
  constructor(sending, region) {
    this.sending = sending;
    this.region = region;
    this.frame = null;
    this.rows = new Map(); // of the files on their way: {element, bar}
    this.bar = el("progress", { max: 1, value: 0, "aria-label": "Sent in all" });
    this.line = el("p", { class: "sum" });
    this.trouble = el("p", { class: "wrong", role: "alert" });
    this.files = el("ul", { class: "sent" });
    this.stop = button("Stop", () => sending.stop());
    this.element = el(
      "div",
      { class: "sending" },
      this.line,
      this.bar,
      this.trouble,
      this.files,
      el(
        "p",
        { class: "quiet" },
        sending.resumes
          ? "If this page is closed, choose the same files again: what has arrived is not sent twice."
          : "Keep this page open: what is interrupted here is sent again from its beginning.",
      ),
      this.stop,
    );
    this.#draw();
  }

  /** Something has changed. It is drawn with the next picture of the screen, however often that was. */
  changed() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.#draw();
    });
  }

  #draw() {
    const { files, sentFiles, bytes: all, sentBytes, trouble } = this.sending;
    const arrived = sentFiles === files.length;
    this.line.textContent = arrived
      ? "Submitting…"
      : `${count(sentFiles)} of ${counted(files.length, "file")} · ${bytes(sentBytes)} of ${bytes(all)}`;
    this.bar.value = all ? sentBytes / all : 0;
    const told = trouble ? `${trouble.message} Next try in ${seconds(trouble.wait)}.` : "";
    if (this.trouble.textContent !== told) this.trouble.textContent = told; // it is read out whenever it is written
    this.region.tell(arrived ? "All has been sent." : `Sending: ${Math.floor((100 * sentBytes) / (all || 1))} %`);
    this.#drawFiles();
  }

  #drawFiles() {
    for (const [file, { element }] of this.rows) {
      if (this.sending.underWay.has(file)) continue;
      element.remove();
      this.rows.delete(file);
    }
    for (const file of this.sending.underWay) {
      if (!this.rows.has(file)) this.rows.set(file, this.#row(file));
      this.rows.get(file).bar.value = file.sent;
    }
  }

  #row(file) {
    const bar = el("progress", { max: file.size, "aria-label": file.name });
    const element = el("li", {}, el("span", { class: "name" }, file.name), bar);
    this.files.append(element);
    return { element, bar };
  }
}
