// A list of which only what is on the screen is in the document, however long it is.

import { el } from "./elements.js";

const MORE_ROWS = 3; // above and below the screen

/** Items of one height in as many columns as there is room for. `render(item, place)` makes one; `more()` gets further
 * ones, and `grown()` is called when they are there. */
export class VirtualList {
  constructor({ height, width, render, more, grown, label }) {
    Object.assign(this, { height, width, render, more, grown, items: [], loading: false });
    this.shown = new Map();
    this.element = el("ul", { class: "virtual", "aria-label": label });
    this.observer = new ResizeObserver(() => this.draw());
    this.onscroll = () => this.draw();
    window.addEventListener("scroll", this.onscroll, { passive: true });
    this.observer.observe(this.element);
  }

  set(items) {
    this.items = items;
    this.clear();
    this.draw();
  }

  clear() {
    this.shown.forEach((element) => element.remove());
    this.shown.clear();
  }

  close() {
    window.removeEventListener("scroll", this.onscroll);
    this.observer.disconnect();
  }

  draw() {
    const wide = this.element.clientWidth;
    if (!wide) return;
    const columns = this.width ? Math.max(1, Math.floor(wide / this.width)) : 1;
    if (columns !== this.columns) this.clear();
    this.columns = columns;
    const rows = Math.ceil(this.items.length / columns);
    this.element.style.setProperty("height", `${rows * this.height}px`);
    const top = -this.element.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / this.height) - MORE_ROWS);
    const last = Math.min(rows, Math.ceil((top + window.innerHeight) / this.height) + MORE_ROWS);
    this.#keep(first * columns, Math.min(last * columns, this.items.length));
    if (last >= rows && this.more && !this.loading) this.#further();
  }

  #keep(from, to) {
    for (const [place, element] of this.shown) {
      // Whoever is there with the keyboard is not thrown out.
      if ((place < from || place >= to) && !element.contains(document.activeElement)) {
        element.remove();
        this.shown.delete(place);
      }
    }
    const wide = 100 / this.columns;
    for (let place = from; place < to; place += 1) {
      if (this.shown.has(place)) continue;
      const item = el(
        "li",
        {
          "aria-setsize": this.items.length,
          "aria-posinset": place + 1,
          style: {
            top: `${Math.floor(place / this.columns) * this.height}px`,
            left: `${(place % this.columns) * wide}%`,
            width: `${wide}%`,
            height: `${this.height}px`,
          },
        },
        this.render(this.items[place], place),
      );
      const after = [...this.shown.entries()].filter(([other]) => other > place).sort(([a], [b]) => a - b)[0];
      this.element.insertBefore(item, after?.[1] ?? null); // so that Tab goes the way the eye goes
      this.shown.set(place, item);
    }
  }

  async #further() {
    this.loading = true;
    try {
      const items = await this.more();
      if (items.length) this.items.push(...items);
      else this.more = null;
    } catch {
      setTimeout(() => {
        this.loading = false;
        this.draw();
      }, 2000);
      return;
    }
    this.loading = false;
    this.grown?.();
    this.draw();
  }
}
