// The faces of a set: sorted, filtered, and as many as there are.

import { read, show } from "./api.js";
import { population, strip } from "./charts.js";
import { button, el, fill } from "./elements.js";
import { FaceView } from "./face.js";
import { VirtualList } from "./virtual.js";
import { FLAGS, count, counted, ordinal, score, spread } from "./words.js";

const PAGE = 100;
const CARD = { width: 176, height: 286 };
// What has become of the photographs that faces are in; only the first of these have scores to be put in order by.
const STATES = [
  ["", "any"],
  ["succeeded", "scored"],
  ["ready dispatched running", "still in work"],
  ["failed", "failed"],
  ["cancelled", "cancelled"],
];
const ORDERS = [
  ["-score", "highest score first"],
  ["score", "lowest score first"],
  ["position", "as they were sent"],
];

/** Shows them in `body`; returns what the job's page calls. */
export async function gallery(body, status) {
  const shown = new Gallery(body, status, await population(status.bundle.digest));
  await shown.start();
  return {
    close: () => shown.close(),
    onstatus: (changed) => shown.changed(changed),
    openFace: (face) => shown.view(face),
  };
}

class Gallery {
  constructor(body, status, reference) {
    Object.assign(this, { status, reference, cursor: null, scored: 0, turn: 0 });
    this.sum = el("p", { class: "sum", role: "status" });
    this.fresh = el("p", {});
    const filters = this.#filters();
    this.list = new VirtualList({
      ...CARD,
      label: "Faces",
      render: (face, place) => this.#card(face, place),
      grown: () => this.#tell(),
    });
    this.faceView = new FaceView(this);
    fill(body, filters, this.sum, this.fresh, this.list.element);
  }

  close() {
    clearTimeout(this.timer);
    this.list.close();
    this.faceView.close();
  }

  async start() {
    const mine = ++this.turn;
    this.cursor = null;
    this.list.more = null; // or the empty list would ask for the first page as well
    const first = await this.#more().catch((error) => {
      if (mine === this.turn) throw error;
    });
    if (mine !== this.turn) return; // another order was asked for meanwhile
    this.list.more = () => this.#more();
    this.list.set(first);
    this.#tell();
    this.#showSet(mine);
  }

  /** How the set's scores lie, behind each of them, as soon as it is known. */
  async #showSet(mine) {
    const { scores } = await read(`v1/jobs/${this.status.id}/insights`).catch(() => ({ scores: null }));
    if (mine !== this.turn || !scores) return;
    this.scores = scores;
    for (const [place, item] of this.list.shown)
      item.querySelector(".strip")?.replaceWith(this.#strip(this.list.items[place]));
  }

  #strip(face) {
    return strip(face, this.reference, this.scores);
  }

  changed(status) {
    const more = status.counts.succeeded > this.status.counts.succeeded;
    this.status = status;
    if (!more) return;
    // A short list grows by itself; under somebody who reads a long one nothing moves.
    if (this.list.items.length < PAGE && window.scrollY < 400 && !this.faceView.isOpen) {
      this.#soon();
      return;
    }
    if (!this.fresh.firstChild)
      fill(
        this.fresh,
        button("Show what has been scored since", () => {
          fill(this.fresh);
          this.start();
        }),
      );
  }

  #soon() {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      if (!this.faceView.isOpen) this.start().catch(() => {});
    }, 700);
  }

  view(face) {
    if (face === null) {
      this.faceView.close();
      return;
    }
    this.faceView.open(
      Number(face),
      this.list.items.findIndex((each) => each.id === Number(face)),
    );
  }

  async #more() {
    if (this.cursor === "end") return [];
    const { turn } = this;
    const wanted = new URLSearchParams({ limit: PAGE, ...(this.cursor && { cursor: this.cursor }) });
    const { order, flags, state } = this.form.elements;
    wanted.set("order", ["", "succeeded"].includes(state.value) ? order.value : "position");
    for (const name of ["min_score", "max_score", "min_percentile", "max_percentile"]) {
      if (this.form.elements[name].value) wanted.set(name, this.form.elements[name].value);
    }
    state.value
      .split(" ")
      .filter(Boolean)
      .forEach((each) => wanted.append("state", each));
    if (flags.value === "none") wanted.set("without_flags", "true");
    else if (flags.value) wanted.append("flag", flags.value);
    const page = await read(`v1/jobs/${this.status.id}/faces?${wanted}`);
    if (turn !== this.turn) throw new Error("These are of a list that is not shown any more.");
    this.cursor = page.next_cursor ?? "end";
    this.scored = page.scored;
    return page.faces;
  }

  #tell() {
    const number = this.list.items.length;
    const all = this.cursor === "end";
    const filtered = [...this.form.elements].some((control) => control.name !== "order" && control.value);
    if (number === 0) fill(this.sum, filtered ? "No face fits the filter." : "No face has a score yet.");
    else
      fill(
        this.sum,
        all ? `${counted(number, "face")}` : `The first ${count(number)}; further ones come as you scroll`,
        this.scored && !all ? ` (${count(this.scored)} scored in all)` : "",
        ".",
      );
  }

  #filters() {
    const again = () => this.start().catch((error) => fill(this.sum, error.message));
    const field = (label, control) => el("label", {}, el("span", {}, label), control);
    const figure = (label, name, max, step) =>
      field(label, el("input", { name, type: "number", min: 0, max, step, inputmode: "decimal" }));
    // On a phone the faces come first.
    return el(
      "details",
      { class: "filters", open: matchMedia("(min-width: 721px)").matches },
      el("summary", {}, "Order and filter"),
      (this.form = el(
        "form",
        {
          class: "options",
          onchange: again,
          onsubmit: (event) => {
            event.preventDefault();
            again();
          },
        },
        field(
          "Order",
          el(
            "select",
            { name: "order" },
            ORDERS.map(([value, label]) => el("option", { value }, label)),
          ),
        ),
        figure("Score from", "min_score", 1, 0.01),
        figure("to", "max_score", 1, 0.01),
        figure("Percentile from", "min_percentile", 100, 1),
        figure("to", "max_percentile", 100, 1),
        field(
          "State",
          el(
            "select",
            { name: "state" },
            STATES.map(([value, label]) => el("option", { value }, label)),
          ),
        ),
        field(
          "Flags",
          el(
            "select",
            { name: "flags" },
            el("option", { value: "" }, "any"),
            el("option", { value: "none" }, "none: trust these most"),
            Object.entries(FLAGS).map(([value, label]) => el("option", { value }, label)),
          ),
        ),
      )),
    );
  }

  #card(face, place) {
    const image = el("img", { alt: "", width: 224, height: 224, decoding: "async" });
    const card = el(
      "a",
      {
        class: "card",
        href: `#/jobs/${this.status.id}/faces/${face.id}`,
        onkeydown: (event) => this.#arrow(event, place),
      },
      face.links.crop ? image : el("span", { class: "nothing" }, "not kept"),
      el(
        "span",
        { class: "figures" },
        el("strong", {}, score(face)),
        " ",
        el("span", { class: "quiet" }, spread(face)),
        face.rank && el("span", { class: "rank" }, `#${count(face.rank)}`),
      ),
      face.score !== null && this.#strip(face),
      el(
        "span",
        { class: "quiet line" },
        face.percentile === null ? "without a score" : `${ordinal(face.percentile)} percentile`,
      ),
      el(
        "span",
        { class: "quiet line" },
        face.flags.length ? `trust less: ${face.flags.map((flag) => FLAGS[flag] ?? flag).join(", ")}` : face.image.name,
      ),
    );
    if (face.links.crop) setTimeout(() => show(image, face.links.crop));
    return card;
  }

  #arrow(event, place) {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.list.columns, ArrowUp: -this.list.columns }[event.key];
    const next = step && this.list.shown.get(place + step)?.querySelector("a");
    if (!next) return;
    event.preventDefault();
    next.focus();
  }
}
