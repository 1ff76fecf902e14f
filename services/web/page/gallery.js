// The faces of a set: sorted, filtered, and as many as there are.

import { read, show } from "./api.js";
import { legend, population, strip } from "./charts.js";
import { button, el, fill } from "./elements.js";
import { FaceView } from "./face.js";
import { Filters } from "./filters.js";
import { VirtualList } from "./virtual.js";
import { FLAGS, count, counted, ordinal, score, spread } from "./words.js";

const PAGE = 100;
const CARD = { width: 176, height: 286 };
const APART_SECONDS = 10; // between two looks at a running set as a whole, each of which is work for the service

/** Shows them in `body`; returns what the job's page calls. */
export async function gallery(body, page) {
  const shown = new Gallery(body, page, await population(page.status.bundle.digest));
  await shown.start().catch((error) => {
    shown.close();
    throw error;
  });
  return {
    close: () => shown.close(),
    onstatus: (changed) => shown.changed(changed),
    openFace: (face) => shown.view(face),
  };
}

class Gallery {
  constructor(body, page, people) {
    Object.assign(this, { page, people, status: page.status, scored: 0 });
    this.scale = people.scale();
    this.sum = el("p", { class: "sum", role: "status" });
    this.fresh = el("p", {});
    this.filters = new Filters(() => this.again());
    this.list = new VirtualList({
      ...CARD,
      label: "Faces",
      render: (face) => this.#card(face),
      redraw: (card, face) => fill(card.querySelector(".told"), this.#told(face)),
      grown: () => this.#grown(),
      failed: (error) => page.hasGone(error),
    });
    this.faceView = new FaceView(this);
    const { element, trouble } = this.list;
    fill(
      body,
      this.filters.element,
      this.sum,
      el("p", { class: "key" }, "Under each score: ", legend("this face")),
      this.fresh,
    );
    body.append(element, trouble);
    this.unhear = page.failures.listen((reasons) => this.filters.told(reasons));
  }

  close() {
    this.closed = true;
    this.unhear();
    clearTimeout(this.timer);
    this.list.close();
    this.faceView.close();
  }

  /** Shows from the beginning what the filters ask for. */
  async start() {
    if (await this.list.start(this.#pages())) this.#grown();
    this.#lookAtSet();
  }

  again() {
    this.start().catch(async (error) => {
      if (!(await this.page.hasGone(error))) fill(this.sum, error.message);
    });
  }

  /** A function that gets page after page. */
  #pages() {
    const { query } = this.filters;
    let cursor = null;
    query.set("limit", PAGE);
    return async () => {
      if (cursor === "end") return [];
      if (cursor) query.set("cursor", cursor);
      const page = await read(`v1/jobs/${this.status.id}/faces?${query}`);
      cursor = page.next_cursor ?? "end";
      this.whole = cursor === "end";
      this.scored = page.scored;
      return page.faces;
    };
  }

  /** How the set's scores lie: null as long as no face has one. Asked for once; of a set that grows, again at times. */
  findings() {
    const recent = this.scores && Date.now() - this.askedAt < APART_SECONDS * 1000;
    if (!this.found || (this.grewSince && !recent)) {
      this.grewSince = false;
      this.askedAt = Date.now();
      this.found = read(`v1/jobs/${this.status.id}/insights`).catch((error) => {
        this.found = null;
        throw error;
      });
    }
    return this.found;
  }

  async #lookAtSet() {
    const { scores } = await this.findings().catch(() => ({ scores: null }));
    if (this.closed || !scores || scores === this.scores) return;
    this.scores = scores;
    this.#rescale();
  }

  /** Strips hold all that is known of the set, and all of them on one scale. */
  #rescale() {
    this.scale = this.people.scale(this.scores, this.#known());
    for (const { element, item } of this.list.shown.values())
      element.querySelector(".strip")?.replaceWith(this.#strip(item));
  }

  #known() {
    return this.list.items.map((face) => face.score).filter((each) => each !== null);
  }

  #strip(face) {
    return strip(face, this.scale, this.scores);
  }

  changed(status) {
    const more = status.counts.succeeded > this.status.counts.succeeded;
    const ended = status.finished_at !== null && this.status.finished_at === null;
    this.status = status;
    this.grewSince ||= more || ended;
    if (ended) {
      this.askedAt = 0; // there will be no more
      this.#lookAtSet();
    }
    if (!more) return;
    // A short list grows by itself; under somebody who reads a long one nothing moves.
    if (this.list.items.length < PAGE && this.list.beginsInSight && !this.faceView.isOpen) {
      this.#soon();
      return;
    }
    if (this.fresh.firstChild) return;
    const now = () => {
      fill(this.fresh);
      this.again();
    };
    fill(this.fresh, button("Show what has been scored since", now));
  }

  #soon() {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      if (!this.faceView.isOpen) this.again();
    }, 700);
  }

  view(face) {
    if (face === null) {
      this.faceView.close();
      return;
    }
    this.faceView.open(Number(face), this.list.places.get(Number(face)) ?? -1);
  }

  #grown() {
    if (this.#known().some((score) => !this.scale.holds(score))) this.#rescale();
    const number = this.list.items.length;
    if (number === 0) {
      fill(this.sum, this.filters.active ? "No face fits the filter." : "No face has a score yet.");
      return;
    }
    const further = `The first ${count(number)}; further ones come as you scroll`;
    const of = this.scored && !this.whole ? ` (${count(this.scored)} scored in all)` : "";
    fill(this.sum, this.whole ? counted(number, "face") : further, of, ".");
  }

  #card(face) {
    const image = el("img", { alt: "", width: 224, height: 224, decoding: "async" });
    if (face.links.crop) setTimeout(() => show(image, face.links.crop));
    return el(
      "a",
      { class: "card", href: `#/jobs/${this.status.id}/faces/${face.id}` },
      face.links.crop ? image : el("span", { class: "nothing" }, "not kept"),
      el("span", { class: "told" }, this.#told(face)),
    );
  }

  #told(face) {
    const flags = face.flags.map((flag) => FLAGS[flag] ?? flag).join(", ");
    const place = face.percentile === null ? "without a score" : `${ordinal(face.percentile)} percentile`;
    return [
      el(
        "span",
        { class: "figures" },
        el("strong", {}, score(face)),
        " ",
        el("span", { class: "quiet" }, spread(face)),
        face.rank && el("span", { class: "rank" }, `#${count(face.rank)}`),
      ),
      face.score !== null && this.#strip(face),
      el("span", { class: "quiet line" }, place),
      el("span", { class: "quiet line" }, flags ? `trust less: ${flags}` : face.image.name),
    ];
  }
}
