// A few words of what goes on, for those who listen to the page.

import { el } from "./elements.js";

const SECONDS = 5;

/** Not seen, and said at most every few seconds: what is read out must not change with every key or byte. */
export class LiveRegion {
  constructor() {
    this.element = el("p", { class: "unseen", role: "status" });
    this.words = "";
    this.resting = false;
  }

  tell(words) {
    this.words = words;
    if (!this.resting) this.#say();
  }

  #say() {
    this.resting = this.words !== this.element.textContent;
    if (!this.resting) return;
    this.element.textContent = this.words;
    setTimeout(() => this.#say(), SECONDS * 1000);
  }
}
