// A set as a whole: how its scores lie, which words go with high and low ones, and how it compares with another set.

import { read, send } from "./api.js";
import { distribution, intervals, population } from "./charts.js";
import { button, el, fill } from "./elements.js";
import { count, counted, FLAGS, moment, sentence } from "./words.js";

const MOST_SETS = 2000; // in the list of those to compare with, the newest first

/** Shows them in `body`. */
export async function insights(body, status) {
  const [told, reference] = await Promise.all([
    read(`v1/jobs/${status.id}/insights`),
    population(status.bundle.digest),
  ]);
  if (!told.scores) {
    fill(body, el("p", {}, "No face has a score yet."));
    return;
  }
  const row = (each) => ({
    label: each.terms.join(", "),
    value: each.difference,
    low: each.low,
    high: each.high,
    note: `${count(each.photographs_with)} with, ${count(each.photographs_without)} without`,
  });
  const clear = [...told.high, ...told.low];
  fill(
    body,
    el("h2", {}, "Scores"),
    el(
      "p",
      {},
      `${counted(told.scores.faces, "face")}, mean ${told.scores.mean.toFixed(2)}, half of them between ${told.scores.quartiles[0].toFixed(2)} and ${told.scores.quartiles[2].toFixed(2)}.`,
    ),
    distribution(told.scores, reference),
    Object.keys(told.flags).length > 0 &&
      el(
        "p",
        { class: "quiet" },
        `To be trusted less: ${Object.entries(told.flags)
          .map(([flag, number]) => `${count(number)} ${FLAGS[flag] ?? sentence(flag)}`)
          .join("; ")}.`,
      ),
    el("h2", {}, "Words that go with high and low scores"),
    clear.length
      ? intervals("Difference of mean scores with and without, and its 95 % interval", clear.map(row))
      : el(
          "p",
          {},
          told.compared
            ? `None of the ${count(told.compared)} terms that were compared can be told from chance.`
            : `Too few photographs: a comparison needs ${told.fewest} with a term and as many without it.`,
        ),
    el(
      "p",
      { class: "quiet" },
      `${counted(told.compared, "term")} compared, ${count(told.too_rare)} too rare. An association, not a cause.`,
    ),
    [...told.warnings, ...told.notes].length > 0 &&
      el(
        "details",
        {},
        el("summary", {}, "How to read this"),
        el(
          "ul",
          {},
          [...told.warnings, ...told.notes].map((note) => el("li", {}, note)),
        ),
      ),
    el("h2", {}, "Beside another set"),
    await comparison(status),
  );
}

async function allSets() {
  const jobs = [];
  for (let cursor = ""; cursor !== null;) {
    const page = await read(`v1/jobs?limit=200${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    jobs.push(...page.jobs);
    cursor = jobs.length < MOST_SETS ? page.next_cursor : null;
  }
  return jobs;
}

async function comparison(status) {
  const others = (await allSets()).filter(
    (job) => job.id !== status.id && job.bundle.digest === status.bundle.digest && job.counts.succeeded > 0,
  );
  if (others.length === 0)
    return el(
      "p",
      { class: "quiet" },
      "There is no other set yet that was scored with the same bundle. Send a second one, and see which of the two stays in mind.",
    );
  const choice = el(
    "select",
    { name: "other" },
    others.map((job) =>
      el(
        "option",
        { value: job.id },
        `${job.name ?? "Set"} · ${moment(job.created_at)} · ${counted(job.images, "image")}`,
      ),
    ),
  );
  const outcome = el("div", { "aria-live": "polite" });
  const compare = async (event) => {
    event.preventDefault();
    try {
      const told = await send("v1/compare", { a: { job: status.id }, b: { job: choice.value } });
      fill(
        outcome,
        el("p", { class: "sum" }, told.summary),
        intervals("Difference of the mean scores, and its 95 % interval", [
          {
            label: "this set less the other",
            value: told.difference.value,
            low: told.difference.low,
            high: told.difference.high,
            note: told.difference.clear ? "" : "chance may have made it",
          },
        ]),
        el(
          "p",
          {},
          `A photograph of this set scores higher than one of the other with a probability of ${Math.round(told.higher.value * 100)} % (${Math.round(told.higher.low * 100)} to ${Math.round(told.higher.high * 100)} %).`,
        ),
        el(
          "ul",
          { class: "quiet" },
          told.notes.map((note) => el("li", {}, note)),
        ),
      );
    } catch (error) {
      fill(outcome, el("p", { class: "wrong" }, error.message));
    }
  };
  return [
    el(
      "form",
      { class: "options", onsubmit: compare },
      el("label", {}, el("span", {}, "Compare with"), choice),
      button("Compare", undefined, { type: "submit" }),
    ),
    outcome,
  ];
}
