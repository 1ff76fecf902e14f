// Charts, each of which can be read as a table too.

import { bundles } from "./api.js";
import { saveTable } from "./csv.js";
import { button, el, svg, table } from "./elements.js";
import { sampled, signed } from "./words.js";

const SET = { width: 640, height: 180, left: 8, bottom: 24 };
const STRIP = { width: 100, height: 18, bottom: 4 };
const PLACES = 40; // of a scale, at which it is said how dense the population lies
const BESIDE_POPULATION = 0.08; // what a scale has on both sides of it
const BESIDE_SET = 0.01;

/** The faces that a bundle was trained on: their scores at the 0th, 1st, … 100th percentile, if they are known. */
export async function population(digest) {
  const model = (await bundles()).get(digest);
  return new Population(model?.percentiles ?? [], model?.card);
}

class Population {
  constructor(percentiles, card) {
    Object.assign(this, { percentiles, card });
  }

  /** A scale that holds all of them, all of a set as far as it is known, and some scores beside. */
  scale(set = null, scores = []) {
    const theirs = set ? [set.lowest, set.highest, set.bins[0].low, set.bins.at(-1).high] : [];
    const shown = [...theirs, ...scores];
    const known = this.percentiles.length > 1;
    const low = known ? this.percentiles[0] - BESIDE_POPULATION : 0;
    const high = known ? this.percentiles.at(-1) + BESIDE_POPULATION : 1;
    const from = shown.reduce((least, each) => Math.min(least, each - BESIDE_SET), low);
    const to = shown.reduce((most, each) => Math.max(most, each + BESIDE_SET), high);
    return new Scale(Math.max(0, from), Math.min(1, to), this.percentiles);
  }
}

/** Where scores are drawn. `shape` is how dense the population lies at its places, from 0 to 1. */
class Scale {
  constructor(low, high, percentiles) {
    Object.assign(this, { low, high });
    this.shape = percentiles.length > 1 ? density(percentiles, this) : [];
  }

  holds(score) {
    return score >= this.low && score <= this.high;
  }

  /** The end of an interval may lie beyond the scale: it is drawn at its end. */
  share(score) {
    return Math.min(1, Math.max(0, (score - this.low) / (this.high - this.low)));
  }
}

function density(percentiles, scale) {
  const wide = (scale.high - scale.low) / PLACES;
  const raw = Array.from({ length: PLACES }, (_, place) =>
    between(percentiles, scale.low + place * wide, scale.low + (place + 1) * wide),
  );
  const smooth = raw.map((_, place) => (raw[place - 1] ?? 0) / 4 + raw[place] / 2 + (raw[place + 1] ?? 0) / 4);
  const most = Math.max(...smooth) || 1;
  return smooth.map((each) => each / most);
}

/** How many in a hundred of the population have a score from `low` to `high`. */
const between = (percentiles, low, high) => below(percentiles, high) - below(percentiles, low);

function below(percentiles, score) {
  const at = percentiles.findIndex((each) => each > score);
  if (at === 0) return 0;
  if (at < 0) return 100;
  return at - 1 + (score - percentiles[at - 1]) / (percentiles[at] - percentiles[at - 1] || 1);
}

/** The population as a shape and a set as bars, on one floor, which is at the height `floor`. */
function ground(scale, bins, { left = 0, right, floor, high, gap = 0 }) {
  const x = (score) => left + scale.share(score) * (right - left);
  const most = Math.max(...bins.map((bin) => bin.faces), 1);
  const points = scale.shape.map((each, place) => {
    const across = left + ((place + 0.5) / PLACES) * (right - left);
    return `${across},${floor - each * high}`;
  });
  const bar = (bin) =>
    svg("rect", {
      class: "bar",
      x: x(bin.low) + gap,
      width: Math.max(0.5 + gap, x(bin.high) - x(bin.low) - 2 * gap),
      y: floor - (bin.faces / most) * high,
      height: (bin.faces / most) * high,
    });
  return [
    points.length > 0 &&
      svg("polygon", { class: "population", points: `${left},${floor} ${points.join(" ")} ${right},${floor}` }),
    bins.filter((bin) => bin.faces).map(bar),
    svg("line", { class: "axis", x1: left, x2: right, y1: floor, y2: floor }),
  ];
}

/** A face's score ± uncertainty among the population and its set, as far as `set` is known. */
export function strip(face, scale, set) {
  const { width, height, bottom } = STRIP;
  const floor = height - bottom;
  const x = (score) => scale.share(score) * width;
  return svg(
    "svg",
    { class: "strip", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true", preserveAspectRatio: "none" },
    ground(scale, set?.bins ?? [], { right: width, floor, high: floor - 2 }),
    face.uncertainty !== null &&
      svg("line", {
        class: "whisker",
        x1: x(face.score - face.uncertainty),
        x2: x(face.score + face.uncertainty),
        y1: floor,
        y2: floor,
      }),
    svg("line", { class: "mark", x1: x(face.score), x2: x(face.score), y1: 3, y2: height - 1 }),
  );
}

/** What is what in such drawings; `marked` names what is marked in them. */
export const legend = (marked) => [
  el("span", { class: "swatch bar" }),
  " this set ",
  el("span", { class: "swatch population" }),
  " faces that the model learned from",
  marked && [" ", el("span", { class: "swatch mark" }), ` ${marked}, and its interval`],
];

/** How the scores of a set lie, as the service has found (its insights), over the population; `face` is marked with its
 * uncertainty, if there is one. */
export function distribution(found, people, face = null) {
  const drawing = histogram(found, people, face);
  const figure = el("figure", {}, drawing, el("figcaption", { class: "key" }, legend(face && "this face")));
  const { percentiles } = people;
  const row = (bin) => [
    bin.low.toFixed(3),
    bin.high.toFixed(3),
    String(bin.faces),
    percentiles.length > 1 ? between(percentiles, bin.low, bin.high).toFixed(1) : "",
  ];
  const heads = ["From", "To", "Faces of this set", "In a hundred that the model learned from"];
  return withTable(figure, () => table(told(found, face), heads, found.scores.bins.map(row), [0, 1, 2, 3]));
}

function histogram(found, people, face) {
  const { width, height, left, bottom } = SET;
  const floor = height - bottom;
  const [low, high] = face ? interval(face) : [];
  const scale = people.scale(found.scores, face ? [face.score] : []);
  const x = (score) => left + scale.share(score) * (width - 2 * left);
  const ticks = Array.from({ length: 21 }, (_, place) => place / 20).filter((tick) => scale.holds(tick));
  return svg(
    "svg",
    { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": told(found, face) },
    ground(scale, found.scores.bins, { left, right: width - left, floor, high: floor - 12, gap: 0.5 }),
    ticks.map((tick) => svg("text", { x: x(tick), y: height - 8, "text-anchor": "middle" }, tick.toFixed(2))),
    face && [
      svg("rect", { class: "range", x: x(low), width: x(high) - x(low), y: 6, height: floor - 6 }),
      svg("line", { class: "mark", x1: x(face.score), x2: x(face.score), y1: 6, y2: floor }),
    ],
  );
}

/** From where to where a face's score may lie. */
const interval = ({ score, uncertainty }) => [score - (uncertainty ?? 0), score + (uncertainty ?? 0)];

function told({ scores, faces }, face) {
  const [lowest, highest, mean] = [scores.lowest, scores.highest, scores.mean].map((each) => each.toFixed(2));
  const set = `Scores of ${sampled(faces)}: from ${lowest} to ${highest}, mean ${mean}`;
  if (!face) return set;
  const [low, high] = interval(face).map((each) => each.toFixed(2));
  return `${set}; this face has ${face.score.toFixed(2)}${face.uncertainty === null ? "" : `, from ${low} to ${high}`}`;
}

/** Differences with their intervals, a row each: {label, value, low, high, note}; `noted` says what the notes are. */
export function intervals(title, rows, noted) {
  const reach = Math.max(...rows.flatMap((row) => [Math.abs(row.low), Math.abs(row.high)]), 0.01);
  const item = (row) =>
    el(
      "li",
      {},
      el("span", { class: "name" }, row.label),
      difference(row, reach),
      el("span", { class: "number" }, signed(row.value)),
      el("span", { class: "quiet" }, row.note),
    );
  const list = el("ul", { class: "intervals" }, rows.map(item));
  const heads = ["What", "Difference", "From", "To", noted];
  const cells = (row) => [row.label, signed(row.value), signed(row.low), signed(row.high), row.note];
  return withTable(el("figure", {}, el("figcaption", {}, title), list), () =>
    table(title, heads, rows.map(cells), [1, 2, 3]),
  );
}

/** One of them as a line beside or across nothing, on a scale of `reach` to both sides. */
function difference({ value, low, high }, reach) {
  const x = (each) => 50 + (each / reach) * 48;
  const kind = value < 0 ? "lowers" : "raises";
  return svg(
    "svg",
    { class: "interval", viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("line", { class: "axis", x1: 50, x2: 50, y1: 0, y2: 12 }),
    svg("line", { class: kind, x1: x(low), x2: x(high), y1: 6, y2: 6 }),
    svg("line", { class: `${kind} mark`, x1: x(value), x2: x(value), y1: 2, y2: 10 }),
  );
}

/** A chart with a button that shows the same as a table. */
function withTable(chart, made) {
  const holder = el("div", { class: "charted" }, chart);
  let shown = null;
  const toggle = button(
    "Show as a table",
    () => {
      if (shown) {
        shown.remove();
        shown = null;
      } else {
        shown = made();
        shown.append(button("Save as CSV", () => saveTable(shown), { class: "quiet" }));
        holder.append(shown);
      }
      toggle.textContent = shown ? "Hide the table" : "Show as a table";
      toggle.setAttribute("aria-expanded", String(shown !== null));
    },
    { class: "quiet", "aria-expanded": "false" },
  );
  holder.append(toggle);
  return holder;
}
