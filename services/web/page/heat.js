// What made a score: the crop under its map, and the caption under its words, each of which lights up the other.

import { pieces, shades } from "./caption.js";
import { button, el, fill, table } from "./elements.js";
import { crop } from "./pictures.js";
import { signed } from "./words.js";

const SIDE = 224;
const OPACITY = 0.62;
const RAISES = [202, 0, 32];
const LOWERS = [5, 88, 176];
const MATTERS = 0.1; // a region that has less than this share of the word's strongest one does not

/** `picture`, `words` and `tables` are elements; hovering, focusing or pressing a word or a region lights up its part.
 */
export class Heat {
  constructor(face, why) {
    this.why = why;
    [this.rows, this.columns] = why.grid;
    this.total = why.contributions[0].map((_, region) => why.contributions.reduce((sum, row) => sum + row[region], 0));
    this.strongest = Math.max(...why.contributions.flat().map(Math.abs), 1e-9);
    this.map = el("canvas", { width: SIDE, height: SIDE, "aria-hidden": "true" });
    this.said = el("p", { class: "quiet", role: "status" });
    this.cells = this.total.map((part, region) => this.#cell(part, region));
    this.picture = this.#picture(face);
    this.words = el(
      "p",
      { class: "coloured", role: "group", "aria-label": "The caption; each word can be looked at" },
      this.#caption(face.caption),
    );
    this.tables = this.#tables();
    this.rest();
  }

  #picture(face) {
    return el(
      "figure",
      { class: "heat" },
      el(
        "div",
        { class: "over" },
        crop(face),
        this.map,
        el(
          "div",
          {
            class: "regions",
            role: "group",
            "aria-label": "Regions of the face; arrow keys move",
            style: { "--columns": this.columns },
          },
          this.cells,
        ),
      ),
      this.said,
      button(
        "Without colours",
        (event) => {
          this.map.hidden = !this.map.hidden;
          event.target.setAttribute("aria-pressed", String(this.map.hidden));
        },
        { class: "quiet", "aria-pressed": "false" },
      ),
    );
  }

  #tables() {
    return el(
      "details",
      {},
      el("summary", {}, "As a table"),
      table(
        "Words and what they add to the logit",
        ["Word", "Adds"],
        this.why.words.map((word) => [word.text, signed(word.contribution, 4)]),
        [1],
      ),
      table(
        "Regions and what they add to the logit",
        ["Row", "Column", "Adds"],
        this.total.map((part, region) => [...this.#where(region).map(String), signed(part, 4)]),
        [0, 1, 2],
      ),
    );
  }

  #where(region) {
    return [Math.floor(region / this.columns) + 1, (region % this.columns) + 1];
  }

  #caption(caption) {
    const shade = shades(this.why.words, "word");
    this.spans = new Map();
    return pieces(caption, this.why.words).map(([text, word]) => {
      if (!word) return text;
      const number = this.why.words.indexOf(word);
      const span = el(
        "button",
        {
          type: "button",
          ...shade(word),
          "aria-label": `${word.text}: ${signed(word.contribution)}`,
          ...this.#listeners(() => this.word(number)),
        },
        text,
      );
      this.spans.set(number, span);
      return span;
    });
  }

  #cell(part, region) {
    const [row, column] = this.#where(region);
    return el("button", {
      type: "button",
      class: "region",
      tabindex: region ? -1 : 0,
      "aria-label": `Row ${row}, column ${column}: ${signed(part)}`,
      ...this.#listeners(() => this.region(region)),
      onkeydown: (event) => this.#move(event, region),
    });
  }

  #listeners(light) {
    const rest = () => this.rest();
    return { onmouseenter: light, onfocus: light, onclick: light, onmouseleave: rest, onblur: rest };
  }

  #move(event, region) {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.columns, ArrowUp: -this.columns }[event.key];
    const next = step && this.cells[region + step];
    if (!next) return;
    event.preventDefault();
    this.cells.forEach((cell) => cell.setAttribute("tabindex", cell === next ? "0" : "-1"));
    next.focus();
  }

  /** The map of all words. */
  rest() {
    this.#paint(this.total, Math.max(...this.total.map(Math.abs), 1e-9));
    for (const each of [...this.spans.values(), ...this.cells]) each.classList.remove("lit", "dim");
    fill(this.said, "Look at a word, and its regions light up; at a region, and its words do.");
  }

  word(number) {
    const parts = this.why.contributions[number];
    const most = Math.max(...parts.map(Math.abs), 1e-9);
    this.#paint(parts, this.strongest);
    this.cells.forEach((cell, region) => cell.classList.toggle("dim", Math.abs(parts[region]) < most * MATTERS));
    fill(this.said, `“${this.why.words[number].text}” adds ${signed(this.why.words[number].contribution)}`);
  }

  region(region) {
    const parts = this.why.contributions.map((row) => row[region]);
    const most = Math.max(...parts.map(Math.abs), 1e-9);
    this.spans.forEach((span, number) => {
      span.classList.toggle("lit", Math.abs(parts[number]) > most / 2);
      span.classList.toggle("dim", Math.abs(parts[number]) <= most / 2);
    });
    const [row, column] = this.#where(region);
    fill(this.said, `Row ${row}, column ${column} adds ${signed(this.total[region])}`);
  }

  #paint(parts, strongest) {
    const small = new ImageData(this.columns, this.rows);
    parts.forEach((part, region) => {
      const weight = Math.min(1, Math.abs(part) / strongest);
      small.data.set([...(part < 0 ? LOWERS : RAISES), Math.round(255 * weight * OPACITY)], region * 4);
    });
    const source = new OffscreenCanvas(this.columns, this.rows);
    source.getContext("2d").putImageData(small, 0, 0);
    const pen = this.map.getContext("2d");
    pen.clearRect(0, 0, SIDE, SIDE);
    pen.imageSmoothingQuality = "high";
    pen.drawImage(source, 0, 0, SIDE, SIDE);
  }
}
