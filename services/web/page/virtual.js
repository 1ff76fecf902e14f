// A list of which only what is on the screen is in the document, however long it is.

import { Refused, pause } from "./api.js";
import { el, fill } from "./elements.js";

const MORE_ROWS = 3; // above and below the screen
const FIRST_PAUSE = 2; // seconds before a page that could not be had is asked for again
const LONGEST_PAUSE = 30;

/** Whether the service will say the same again, however often it is asked. */
const forGood = (error) =>
  error instanceof Refused && error.status >= 400 && error.status < 500 && error.status !== 429;

/** Items with ids, of one height, in as many columns as there is room for. `render(item)` makes one, and
 * `redraw(element, item)` has it show what has changed; without it one that has is made anew. `grown()` is called when
 * there are further ones, `failed(error)` when there will be none.
 *
 * To the keyboard the list is one stop: Tab goes to one of its items, if they hold a link, and then past all others;
 * arrows and the like move among them. */
export class VirtualList {
  constructor({ height, width, render, redraw, grown, failed, label }) {
    Object.assign(this, { height, width, render, redraw, grown, failed });
    this.shown = new Map(); // by id: {element, item, place, ...}
    this.element = el("ul", {
      class: "virtual",
      "aria-label": label,
      onkeydown: (event) => this.#key(event),
      onfocusin: (event) => this.#entered(event.target),
    });
    this.trouble = el("p", { class: "wrong", role: "alert" });
    this.#have([]);
    this.observer = new ResizeObserver(() => this.draw());
    this.onscroll = () => this.draw();
    window.addEventListener("scroll", this.onscroll, { passive: true });
    this.observer.observe(this.element);
  }

  close() {
    this.more = this.wanted = null;
    window.removeEventListener("scroll", this.onscroll);
    this.observer.disconnect();
  }

  /** Show another list, of which `more()` gets page after page, at last an empty one. What is there stays until its
   * first page has come. Returns whether it has: not if yet another list was asked for meanwhile. */
  async start(more) {
    const before = this.more;
    this.wanted = more;
    this.more = null; // what is there does not grow any more
    try {
      const first = await more();
      if (this.wanted !== more) return false;
      fill(this.trouble);
      this.#have(first);
    } catch (error) {
      if (this.wanted !== more) return false;
      if (before && this.loading !== before) this.wanted = this.more = before;
      throw error;
    }
    this.more = more;
    const within = this.element.contains(document.activeElement);
    this.draw();
    if (within && !this.element.contains(document.activeElement)) this.go(0); // what had the focus has gone
    return true;
  }

  #have(items) {
    this.items = items;
    this.places = new Map(items.map((item, place) => [item.id, place]));
    if (!this.places.has(this.current)) this.current = items[0]?.id;
  }

  /** Whether its first items are on the screen. */
  get beginsInSight() {
    return this.element.getBoundingClientRect().top > -this.height;
  }

  draw() {
    const wide = this.element.clientWidth;
    if (!wide) return;
    this.columns = this.width ? Math.max(1, Math.floor(wide / this.width)) : 1;
    const rows = Math.ceil(this.items.length / this.columns);
    this.element.style.setProperty("height", `${rows * this.height}px`);
    const top = -this.element.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / this.height) - MORE_ROWS);
    const last = Math.min(rows, Math.ceil((top + window.innerHeight) / this.height) + MORE_ROWS);
    this.#keep(first * this.columns, Math.min(last * this.columns, this.items.length));
    if (last >= rows && this.more && this.loading !== this.more && !this.#isLeft()) this.#further(this.more);
  }

  /** Whether somebody is at what follows the list, and sees it: it is not to be pushed away under them. */
  #isLeft() {
    const there = document.activeElement ?? document.body;
    const where = this.element.compareDocumentPosition(there);
    const follows = where & Node.DOCUMENT_POSITION_FOLLOWING && !(where & Node.DOCUMENT_POSITION_CONTAINED_BY);
    return Boolean(follows) && there.getBoundingClientRect().top < window.innerHeight;
  }

  /** Have the items from one place to before another in the document, and the one that Tab goes to. */
  #keep(from, to) {
    const places = new Set(Array.from({ length: Math.max(0, to - from) }, (_, number) => from + number));
    if (this.places.has(this.current)) places.add(this.places.get(this.current));
    for (const [id, { element }] of this.shown) {
      if (places.has(this.places.get(id))) continue;
      element.remove();
      this.shown.delete(id);
    }
    let following = this.element.firstElementChild;
    for (const place of [...places].sort((a, b) => a - b)) {
      const element = this.#at(place);
      if (element === following) following = following.nextElementSibling;
      else this.element.insertBefore(element, following);
    }
  }

  /** The element of an item, which is made once and then only changed: it may have the focus, or be under a finger. */
  #at(place) {
    const item = this.items[place];
    let shown = this.shown.get(item.id);
    if (!shown) {
      shown = { element: el("li", {}, this.render(item)), item };
      this.shown.set(item.id, shown);
    } else if (shown.item !== item && JSON.stringify(shown.item) !== JSON.stringify(item)) {
      if (this.redraw) this.redraw(shown.element.firstElementChild, item);
      else fill(shown.element, this.render(item));
    }
    shown.item = item;
    const { element } = shown;
    if (shown.place !== place || shown.columns !== this.columns) {
      const wide = 100 / this.columns;
      element.style.setProperty("top", `${Math.floor(place / this.columns) * this.height}px`);
      element.style.setProperty("left", `${(place % this.columns) * wide}%`);
      element.style.setProperty("width", `${wide}%`);
      element.style.setProperty("height", `${this.height}px`);
      element.setAttribute("aria-posinset", place + 1);
    }
    if (shown.all !== this.items.length) element.setAttribute("aria-setsize", this.items.length);
    Object.assign(shown, { place, columns: this.columns, all: this.items.length });
    link(element)?.setAttribute("tabindex", item.id === this.current ? 0 : -1);
    return element;
  }

  #entered(target) {
    const found = [...this.shown].find(([, { element }]) => element.contains(target));
    if (!found || found[0] === this.current) return;
    this.current = found[0];
    this.draw();
  }

  #key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    const page = this.columns * Math.max(1, Math.floor(window.innerHeight / this.height));
    const { columns } = this;
    const near = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    const far = { Home: -Infinity, End: Infinity, PageDown: page, PageUp: -page }[event.key];
    if (near === undefined && far === undefined) return;
    event.preventDefault();
    const place = this.places.get(this.current) + (near ?? far);
    if (far !== undefined) this.go(Math.min(this.items.length - 1, Math.max(0, place)));
    else if (place >= 0 && place < this.items.length) this.go(place);
  }

  /** Bring the focus to the item at a place. */
  go(place) {
    if (!this.items[place]) return;
    this.current = this.items[place].id;
    this.draw();
    link(this.shown.get(this.current)?.element)?.focus();
  }

  async #further(more) {
    this.loading = more;
    const items = await this.#page(more);
    if (this.loading === more) this.loading = null;
    if (this.more !== more) return; // these are of a list that is not shown any more
    if (items === null || items.length === 0) this.more = null;
    else this.#add(items);
    this.grown?.();
    this.draw();
  }

  /** The next page, however often it has to be asked for; null if it cannot be had. */
  async #page(more) {
    for (let wait = FIRST_PAUSE; this.more === more; wait = Math.min(2 * wait, LONGEST_PAUSE)) {
      try {
        const items = await more();
        if (this.more === more) fill(this.trouble);
        return items;
      } catch (error) {
        if (this.more !== more) break;
        const final = forGood(error);
        fill(this.trouble, error.message, !final && " This page tries again.");
        if (final) this.failed?.(error);
        if (final) break;
        await pause(wait);
      }
    }
    return null;
  }

  #add(items) {
    for (const item of items) {
      if (this.places.has(item.id)) continue;
      this.places.set(item.id, this.items.length);
      this.items.push(item);
    }
  }
}

const link = (element) => element?.querySelector("a, button");
