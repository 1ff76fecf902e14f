// Charts, each of which can be read as a table too.

import { bundles } from "./api.js";
import { button, el, svg, table } from "./elements.js";
import { signed } from "./words.js";

const SET = { width: 640, height: 180, left: 8, bottom: 24 };

/** Where scores are drawn: a scale that holds all of a population and of a set. */
export class Scale {
  constructor(low, high) {
    Object.assign(this, { low, high });
  }

  share(score) {
    return Math.min(1, Math.max(0, (score - this.low) / (this.high - this.low)));
  }
}

/** The scale and the shape of the faces that a bundle was trained on: from its percentiles, 0 to 100. */
export async function population(digest) {
  const model = (await bundles()).get(digest);
  const percentiles = model?.percentiles ?? [];
  if (percentiles.length < 2) return { scale: new Scale(0, 1), shape: [] };
  const margin = 0.08;
  const scale = new Scale(Math.max(0, percentiles[0] - margin), Math.min(1, percentiles.at(-1) + margin));
  return { scale, shape: density(percentiles, scale), percentiles };
}

/** Heights, 0 to 1, of 40 places of the scale: how dense scores lie there. */
function density(percentiles, scale) {
  const places = 40;
  const wide = (scale.high - scale.low) / places;
  const raw = Array.from({ length: places }, (_, place) =>
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

/** A face's score ± uncertainty on the population that its bundle was trained on, and on its set as far as `scores` are known. */
export function strip(face, { scale, shape }, scores) {
  const wide = 100;
  const high = 18;
  const x = (score) => scale.share(score) * wide;
  const points = shape.map((each, place) => `${((place + 0.5) / shape.length) * wide},${high - 4 - each * (high - 6)}`);
  const bins = scores?.bins ?? [];
  const most = Math.max(...bins.map((bin) => bin.faces), 1);
  return svg(
    "svg",
    { class: "strip", viewBox: `0 0 ${wide} ${high}`, "aria-hidden": "true", preserveAspectRatio: "none" },
    shape.length > 0 &&
      svg("polygon", { class: "population", points: `0,${high - 4} ${points.join(" ")} ${wide},${high - 4}` }),
    bins
      .filter((bin) => bin.faces)
      .map((bin) =>
        svg("rect", {
          class: "bar",
          x: x(bin.low),
          width: Math.max(0.5, x(bin.high) - x(bin.low)),
          y: high - 4 - (bin.faces / most) * (high - 6),
          height: (bin.faces / most) * (high - 6),
        }),
      ),
    svg("line", { class: "axis", x1: 0, x2: wide, y1: high - 4, y2: high - 4 }),
    face.uncertainty !== null &&
      svg("line", {
        class: "whisker",
        x1: x(face.score - face.uncertainty),
        x2: x(face.score + face.uncertainty),
        y1: high - 4,
        y2: high - 4,
      }),
    svg("line", { class: "mark", x1: x(face.score), x2: x(face.score), y1: 3, y2: high - 1 }),
  );
}

/** The scores of a set as bars, over the population; `face` is marked with its uncertainty, if there is one. */
export function distribution(scores, { scale, shape, percentiles }, face = null) {
  const { width, height, left, bottom } = SET;
  const floor = height - bottom;
  const x = (score) => left + scale.share(score) * (width - 2 * left);
  const most = Math.max(...scores.bins.map((bin) => bin.faces), 1);
  const points = shape.map(
    (each, place) => `${left + ((place + 0.5) / shape.length) * (width - 2 * left)},${floor - each * (floor - 12)}`,
  );
  const ticks = Array.from({ length: 21 }, (_, place) => place / 20).filter(
    (tick) => tick >= scale.low && tick <= scale.high,
  );
  const drawing = svg(
    "svg",
    { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": told(scores, face) },
    shape.length > 0 &&
      svg("polygon", { class: "population", points: `${left},${floor} ${points.join(" ")} ${width - left},${floor}` }),
    scores.bins
      .filter((bin) => bin.faces)
      .map((bin) =>
        svg(
          "rect",
          {
            class: "bar",
            x: x(bin.low) + 0.5,
            width: Math.max(1, x(bin.high) - x(bin.low) - 1),
            y: floor - (bin.faces / most) * (floor - 12),
            height: (bin.faces / most) * (floor - 12),
          },
          svg("title", {}, `${bin.low.toFixed(2)} to ${bin.high.toFixed(2)}: ${bin.faces}`),
        ),
      ),
    svg("line", { class: "axis", x1: left, x2: width - left, y1: floor, y2: floor }),
    ticks.map((tick) => svg("text", { x: x(tick), y: height - 8, "text-anchor": "middle" }, tick.toFixed(2))),
    face && [
      svg("rect", {
        class: "range",
        x: x(face.score - face.uncertainty),
        width: x(face.score + face.uncertainty) - x(face.score - face.uncertainty),
        y: 6,
        height: floor - 6,
      }),
      svg("line", { class: "mark", x1: x(face.score), x2: x(face.score), y1: 6, y2: floor }),
    ],
  );
  return withTable(
    el(
      "figure",
      {},
      drawing,
      el(
        "figcaption",
        { class: "key" },
        el("span", { class: "swatch bar" }),
        " this set ",
        el("span", { class: "swatch population" }),
        " faces that the model learned from",
        face && [" ", el("span", { class: "swatch mark" }), " this face, and its interval"],
      ),
    ),
    () =>
      table(
        told(scores, face),
        ["From", "To", "Faces of this set", "In a hundred that the model learned from"],
        scores.bins.map((bin) => [
          bin.low.toFixed(3),
          bin.high.toFixed(3),
          String(bin.faces),
          percentiles ? between(percentiles, bin.low, bin.high).toFixed(1) : "",
        ]),
        [0, 1, 2, 3],
      ),
  );
}

const told = (scores, face) =>
  `${scores.faces} scores from ${scores.lowest.toFixed(2)} to ${scores.highest.toFixed(2)}, mean ${scores.mean.toFixed(2)}${face ? `; this face has ${face.score.toFixed(2)}${face.uncertainty === null ? "" : `, from ${(face.score - face.uncertainty).toFixed(2)} to ${(face.score + face.uncertainty).toFixed(2)}`}` : ""}`;

/** Differences with their intervals, a row each: {label, value, low, high, note}. */
export function intervals(title, rows) {
  const reach = Math.max(...rows.flatMap((row) => [Math.abs(row.low), Math.abs(row.high)]), 0.01);
  const x = (value) => 50 + (value / reach) * 48;
  const line = (row) =>
    svg(
      "svg",
      { class: "interval", viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("line", { class: "axis", x1: 50, x2: 50, y1: 0, y2: 12 }),
      svg("line", { class: row.value < 0 ? "lowers" : "raises", x1: x(row.low), x2: x(row.high), y1: 6, y2: 6 }),
      svg("line", {
        class: row.value < 0 ? "lowers mark" : "raises mark",
        x1: x(row.value),
        x2: x(row.value),
        y1: 2,
        y2: 10,
      }),
    );
  return withTable(
    el(
      "figure",
      {},
      el("figcaption", {}, title),
      el(
        "ul",
        { class: "intervals" },
        rows.map((row) =>
          el(
            "li",
            {},
            el("span", { class: "name" }, row.label),
            line(row),
            el("span", { class: "number" }, signed(row.value)),
            el("span", { class: "quiet" }, row.note),
          ),
        ),
      ),
    ),
    () =>
      table(
        title,
        ["What", "Difference", "From", "To", "Photographs"],
        rows.map((row) => [row.label, signed(row.value), signed(row.low), signed(row.high), row.note]),
        [1, 2, 3],
      ),
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
