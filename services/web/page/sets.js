// The sets that there are, the newest first, and how far each is.

import { read } from "./api.js";
import { button, el, notice, refill } from "./elements.js";
import { counted, moment, sentence } from "./words.js";

const LISTED = 50;
const REFRESH_SECONDS = 5;

/** Shows them in `place`, and what changes of them. Returns what ends that. */
export async function followSets(place) {
  const left = new AbortController();
  let pages = 1;
  let shown = null;
  let asked = 0;
  let timer = null;

  const refresh = async () => {
    const mine = ++asked;
    const found = await newest(pages, left.signal);
    const told = JSON.stringify(found);
    // Drawn anew, a list is read out anew, and gets away from under somebody's hands.
    if (mine !== asked || told === shown) return;
    shown = told;
    refill(place, ...listed(found.jobs), found.further && button("Show more", more));
  };
  const more = () => {
    pages += 1;
    refresh().catch((error) => left.signal.aborted || notice(error.message, "wrong"));
  };
  // The next only when the last has ended: where the service answers slowly, they would pile up.
  const later = () => {
    timer = setTimeout(
      () =>
        refresh()
          .catch(() => {})
          .finally(() => left.signal.aborted || later()),
      REFRESH_SECONDS * 1000,
    );
  };

  await refresh();
  later();
  return () => {
    left.abort();
    clearTimeout(timer);
  };
}

async function newest(pages, signal) {
  const jobs = [];
  let cursor = null;
  for (let page = 0; page < pages && (page === 0 || cursor); page += 1) {
    const behind = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    const told = await read(`v1/jobs?limit=${LISTED}${behind}`, { signal });
    jobs.push(...told.jobs);
    cursor = told.next_cursor;
  }
  return { jobs, further: cursor !== null };
}

function listed(jobs) {
  if (jobs.length === 0) return [];
  return [
    el("h2", {}, "Your sets"),
    el(
      "ul",
      { class: "sets" },
      jobs.map((job) => el("li", {}, set(job))),
    ),
  ];
}

function set(job) {
  const labels = job.labels.length ? ` · ${job.labels.join(", ")}` : "";
  const state = job.state === "running" ? `${Math.floor(job.progress * 100)} %` : sentence(job.state);
  return el(
    "a",
    { class: "set", href: `#/jobs/${job.id}` },
    el("span", { class: "name" }, job.name ?? `Set of ${moment(job.created_at)}`),
    el("span", { class: "quiet" }, counted(job.images, "image"), " · ", moment(job.created_at), labels),
    el("span", { class: `state ${job.state}` }, state),
    el("progress", { max: 1, value: job.progress, "aria-label": `Progress of ${job.name ?? "this set"}` }),
  );
}
