// A set beside another one.

import { read, send } from "./api.js";
import { intervals } from "./charts.js";
import { button, el, field, fill } from "./elements.js";
import { counted, moment } from "./words.js";

const MOST_SETS = 2000; // in the list of those to compare with, the newest first

/** A form to choose the other set from, which is filled when they are known. */
export function comparison(status) {
  const holder = el("div", {}, el("p", { class: "loading" }, "Looking for other sets…"));
  const load = async () => {
    try {
      const others = (await allSets()).filter(
        (job) => job.id !== status.id && job.bundle.digest === status.bundle.digest && job.counts.succeeded > 0,
      );
      fill(holder, others.length > 0 ? form(status, others) : none());
    } catch (error) {
      fill(holder, el("p", { class: "wrong" }, error.message), button("Try again", load));
    }
  };
  load();
  return holder;
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

const none = () =>
  el(
    "p",
    { class: "quiet" },
    "There is no other set yet that was scored with the same bundle. ",
    "Send a second one, and see which of the two stays in mind.",
  );

function form(status, others) {
  const named = (job) => `${job.name ?? "Set"} · ${moment(job.created_at)} · ${counted(job.images, "image")}`;
  const choice = el(
    "select",
    { name: "other" },
    others.map((job) => el("option", { value: job.id }, named(job))),
  );
  const outcome = el("div", { "aria-live": "polite" });
  const compare = async (event) => {
    event.preventDefault();
    try {
      fill(outcome, compared(await send("v1/compare", { a: { job: status.id }, b: { job: choice.value } })));
    } catch (error) {
      fill(outcome, el("p", { class: "wrong" }, error.message));
    }
  };
  return [
    el(
      "form",
      { class: "options", onsubmit: compare },
      field("Compare with", choice),
      button("Compare", undefined, { type: "submit" }),
    ),
    outcome,
  ];
}

function compared({ summary, difference, higher, notes }) {
  const [value, low, high] = [higher.value, higher.low, higher.high].map((each) => Math.round(each * 100));
  const row = {
    label: "this set less the other",
    value: difference.value,
    low: difference.low,
    high: difference.high,
    note: difference.clear ? "not by chance alone" : "chance may have made it",
  };
  return [
    el("p", { class: "sum" }, summary),
    intervals("Difference of the mean scores, and its 95 % interval", [row], "How sure it is"),
    el(
      "p",
      {},
      "A photograph of this set scores higher than one of the other with a probability of ",
      `${value} % (${low} to ${high} %).`,
    ),
    el(
      "ul",
      { class: "quiet" },
      notes.map((note) => el("li", {}, note)),
    ),
  ];
}
