// Is the system well? What stands still, what waits where, and which models there are.

import { Unreachable, read } from "./api.js";
import { el, fill, redraw, table } from "./elements.js";
import { STAGES, aboutScores, bytes, count, counted, seconds } from "./words.js";

const REFRESH_SECONDS = 5;
const WORK = { ...STAGES, api: "Serve requests", dispatcher: "Hand out work" };
const SAID = {
  ok: "All parts answer and work goes on.",
  degraded: "Requests are served, but something stands still.",
  unavailable: "The service cannot work.",
};

/** Shows it in `main`; returns what is to be done when it is left. */
export async function systemPage(main) {
  const state = el("section", { "aria-live": "off" });
  const models = el("section", {});
  fill(main, el("h1", {}, "System"), state, models);
  const refresh = async () => redraw(state, await wellness());
  await refresh();
  cards().then(
    (all) => fill(models, ...all),
    (error) => fill(models, el("p", { class: "wrong" }, error.message)),
  );
  const failed = (error) => redraw(state, el("p", { class: "wrong" }, `${error.message} This page tries again.`));
  const timer = setInterval(() => refresh().catch(failed), REFRESH_SECONDS * 1000);
  return () => clearInterval(timer);
}

/** What cannot be read is left out: without the database this page is needed most. */
async function wellness() {
  const answer = await fetch("readyz").catch(() => {
    throw new Unreachable();
  });
  const health = await answer.json();
  const nothing = { stages: [], processes: [] };
  const ours = await read("v1/tenant").catch(() => null);
  const system = ours?.scopes.includes("admin") ? await read("v1/system").catch(() => nothing) : nothing;
  const trouble = (each) =>
    el("div", { class: "trouble" }, el("p", {}, el("strong", {}, each.detail)), el("p", {}, each.advice));
  return [
    el(
      "p",
      { class: "sum" },
      el("strong", { class: `state ${health.status}` }, health.status),
      ` ${SAID[health.status]}`,
    ),
    health.degraded.map(trouble),
    table("Parts", ["Part", "State"], Object.entries(health.checks)),
    system.stages.length > 0 && waiting(system),
    system.processes.length > 0 && atWork(system.processes),
    ours && used(ours),
    system.flower && flower(system.flower),
  ];
}

const ago = (number) => (number === null ? "" : `${seconds(number)} ago`);

const waiting = ({ stages, everybody }) =>
  table(
    `Work of ${everybody ? "all tenants" : "your tenant"}, by stage`,
    ["Stage", "Waits to be let in", "Let in", "In work", "Longest wait for a worker", "Oldest set was sent"],
    stages.map((each) => [
      STAGES[each.stage],
      count(each.ready),
      count(each.dispatched),
      count(each.running),
      each.waited_seconds === null ? "" : seconds(each.waited_seconds),
      ago(each.oldest_seconds),
    ]),
    [1, 2, 3, 4, 5],
  );

function atWork(processes) {
  const rows = inOrder(processes).flatMap((kind) =>
    kind.members.map((each) => [WORK[kind.work] ?? kind.work, each.name, kind.version, ago(each.seen_seconds)]),
  );
  const versions = new Set(processes.map((each) => each.version));
  return [
    table("At work", ["Work", "Process", "Version", "Last seen"], rows, [3]),
    el(
      "p",
      { class: "quiet" },
      "Seen: it used the database. Whoever is at work does so every few seconds, whoever has nothing to do need not.",
    ),
    versions.size > 1 &&
      el(
        "p",
        { class: "trouble" },
        `${versions.size === 2 ? "Two" : versions.size} versions are at work. `,
        "That is meant for an upgrade only: start the old ones again from the new version.",
      ),
  ];
}

const used = ({ tenant, usage }) =>
  el(
    "p",
    { class: "quiet" },
    `Tenant ${tenant}: ${counted(usage.open_jobs, "open set")}, ${counted(usage.queued_images, "image")} unfinished, `,
    `${bytes(usage.stored_bytes)} stored.`,
  );

const flower = (href) =>
  el(
    "p",
    {},
    el("a", { href, rel: "noreferrer" }, "Flower"),
    " shows each worker and batch. It asks for a name and a password, which whoever set facemem up has; ",
    "docs/operations.md says how to read it.",
  );

const inOrder = (processes) =>
  processes.toSorted((a, b) => Object.keys(WORK).indexOf(a.work) - Object.keys(WORK).indexOf(b.work));

async function cards() {
  const { models } = await read("v1/models");
  return [el("h2", {}, "Models"), ...models.map(card)];
}

function card({ name, digest, active, card: said }) {
  const data = said.data && `Data: ${said.data.name}. ${said.data.credit ?? ""}`;
  return el(
    "details",
    { open: active },
    el("summary", {}, `${name} ${digest.slice(0, 12)}${active ? " (active)" : ""}`),
    el("p", {}, said.summary ?? ""),
    el("p", {}, aboutScores(said)),
    el("p", {}, el("strong", {}, "Predicts: "), said.target ?? "not said"),
    figures(said),
    data && el("p", { class: "quiet" }, `${data} Licence: ${said.licence?.name ?? "not said"}.`),
    said.limits &&
      el(
        "ul",
        {},
        said.limits.map((limit) => el("li", {}, limit)),
      ),
  );
}

function figures(card) {
  const quality = Object.entries(card.results?.quality ?? {});
  return (
    quality.length > 0 &&
    table(
      "How well it predicts (out of fold, with 95 % intervals)",
      ["Measure", "Value", "From", "To"],
      quality.map(([name, each]) => [
        name.replaceAll("_", " "),
        String(each.value),
        String(each.interval_95?.[0] ?? ""),
        String(each.interval_95?.[1] ?? ""),
      ]),
      [1, 2, 3],
    )
  );
}
