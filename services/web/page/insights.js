// A set as a whole: how its scores lie, which words go with high and low ones, and how it compares with another set.

import { read, save } from "./api.js";
import { distribution, intervals, population } from "./charts.js";
import { comparison } from "./comparison.js";
import { button, el, fill } from "./elements.js";
import { FLAGS, count, counted, sampled, sentence } from "./words.js";

const APART_SECONDS = 10; // between two looks at a running set, each of which is work for the service

/** Shows them in `body`; returns what the job's page calls. */
export async function insights(body, page) {
  const shown = new Insights(body, page, await population(page.status.bundle.digest));
  await shown.load();
  return { close: () => clearTimeout(shown.timer), onstatus: (status) => shown.changed(status) };
}

class Insights {
  constructor(body, page, people) {
    Object.assign(this, { page, people });
    this.fresh = el("p", {});
    this.found = el("div", {});
    fill(body, this.fresh, this.found, el("h2", {}, "Beside another set"), comparison(page.status));
  }

  async load() {
    const { status } = this.page;
    const told = await read(`v1/jobs/${status.id}/insights`);
    this.known = [status.counts.succeeded, status.state].join(" ");
    fill(this.fresh);
    fill(this.found, told.scores ? this.#told(told) : el("p", {}, "No face has a score yet."));
  }

  /** What is there is not changed under somebody who has opened or reached something in it. */
  changed({ counts, state }) {
    if (`${counts.succeeded} ${state}` === this.known || this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      const used = this.found.querySelector("details[open], [aria-expanded=true], :focus");
      if (used) this.#offer();
      else this.load().catch((error) => this.page.hasGone(error).then((gone) => gone || this.#offer(error)));
    }, APART_SECONDS * 1000);
  }

  #offer(error = null) {
    const again = () => this.load().catch((other) => this.#offer(other));
    const wrong = error && el("span", { class: "wrong" }, `${error.message} `);
    fill(this.fresh, wrong, button("Show what has been scored since", again));
  }

  #told(told) {
    return [
      el("h2", {}, "Scores"),
      scores(told),
      distribution(told, this.people),
      flags(told),
      el("h2", {}, "Words that go with high and low scores"),
      words(told),
      el(
        "p",
        { class: "quiet" },
        `${counted(told.compared, "term")} compared, ${count(told.too_rare)} too rare. An association, not a cause.`,
      ),
      notes(told),
      this.#export(),
    ];
  }

  #export() {
    const { id, name } = this.page.status;
    const picture = () => save(`v1/jobs/${id}/insights/picture`, `${name ?? id}.png`);
    return el(
      "div",
      { class: "actions" },
      button("Save as a picture", () => picture().catch((error) => this.page.wrong(error))),
    );
  }
}

function scores({ scores: { mean, quartiles }, faces }) {
  const [lower, , upper] = quartiles.map((each) => each.toFixed(2));
  const half = `half of them between ${lower} and ${upper}`;
  return el("p", {}, `${sampled(faces)}: mean ${mean.toFixed(2)}, ${half}.`);
}

function flags(told) {
  const known = Object.entries(told.flags).map(([flag, number]) => `${count(number)} ${FLAGS[flag] ?? sentence(flag)}`);
  const of = told.faces.used < told.faces.scored ? ` of these ${count(told.faces.used)}` : "";
  return known.length > 0 && el("p", { class: "quiet" }, `To be trusted less${of}: ${known.join("; ")}.`);
}

function words(told) {
  const clear = [...told.high, ...told.low].map((each) => ({
    label: each.terms.join(", "),
    value: each.difference,
    low: each.low,
    high: each.high,
    note: `${count(each.photographs_with)} with, ${count(each.photographs_without)} without`,
  }));
  if (clear.length > 0)
    return intervals("Difference of mean scores with and without, and its 95 % interval", clear, "Photographs");
  const why = told.compared
    ? `None of the ${count(told.compared)} terms that were compared can be told from chance.`
    : `Too few photographs: a comparison needs ${told.fewest} with a term and as many without it.`;
  return el("p", {}, why);
}

function notes(told) {
  const all = [...told.warnings, ...told.notes].map((note) => el("li", {}, note));
  return all.length > 0 && el("details", {}, el("summary", {}, "How to read this"), el("ul", {}, all));
}
