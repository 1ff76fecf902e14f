// Is the system well? What stands still, what waits where, and which models there are.

import { read } from "./api.js";
import { el, fill, refill, table } from "./elements.js";
import { STAGES, aboutScores, bytes, count, counted, seconds } from "./words.js";

const REFRESH_SECONDS = 5;
const WORK = { ...STAGES, api: "Serve requests", dispatcher: "Hand out work" };

/** Shows it in `main`; returns what is to be done when it is left. */
export async function systemPage(main) {
  const state = el("section", { "aria-live": "off" });
  const models = el("section", {});
  fill(main, el("h1", {}, "System"), state, models);
  const refresh = async () => refill(state, ...(await wellness()));
  await refresh();
  cards().then(
    (all) => fill(models, ...all),
    (error) => fill(models, el("p", { class: "wrong" }, error.message)),
  );
  const timer = setInterval(
    () => refresh().catch((error) => fill(state, el("p", { class: "wrong" }, error.message))),
    REFRESH_SECONDS * 1000,
  );
  return () => clearInterval(timer);
}

/** What cannot be read is left out: without the database this page is needed most. */
async function wellness() {
  const health = await fetch("readyz").then((answer) => answer.json());
  const said = {
    ok: "All parts answer and work goes on.",
    degraded: "Requests are served, but something stands still.",
    unavailable: "The service cannot work.",
  };
  const nothing = { stages: [], processes: [] };
  const ours = await read("v1/tenant").catch(() => null);
  const { stages, processes, everybody, flower } = ours?.scopes.includes("admin")
    ? await read("v1/system").catch(() => nothing)
    : nothing;
  return [
    el(
      "p",
      { class: "sum" },
      el("strong", { class: `state ${health.status}` }, health.status),
      ` ${said[health.status]}`,
    ),
    health.degraded.map((each) =>
      el("div", { class: "trouble" }, el("p", {}, el("strong", {}, each.detail)), el("p", {}, each.advice)),
    ),
    table("Parts", ["Part", "State"], Object.entries(health.checks)),
    stages.length > 0 &&
      table(
        `Work of ${everybody ? "all tenants" : "your tenant"}, by stage`,
        ["Stage", "Waits to be let in", "Let in", "In work", "Oldest set was sent"],
        stages.map((each) => [
          STAGES[each.stage],
          count(each.ready),
          count(each.dispatched),
          count(each.running),
          each.oldest_seconds === null ? "" : `${seconds(each.oldest_seconds)} ago`,
        ]),
        [1, 2, 3, 4],
      ),
    processes.length > 0 &&
      table(
        "At work",
        ["Work", "Version", "Processes"],
        inOrder(processes).map((each) => [WORK[each.work] ?? each.work, each.version, count(each.number)]),
        [2],
      ),
    new Set(processes.map((each) => each.version)).size > 1 &&
      el(
        "p",
        { class: "trouble" },
        "Two versions are at work. That is meant for an upgrade only: start the old ones again from the new version.",
      ),
    ours &&
      el(
        "p",
        { class: "quiet" },
        `Tenant ${ours.tenant}: ${counted(ours.usage.open_jobs, "open set")}, ${counted(ours.usage.queued_images, "image")} unfinished, ${bytes(ours.usage.stored_bytes)} stored.`,
      ),
    flower &&
      el(
        "p",
        {},
        el("a", { href: flower, rel: "noreferrer" }, "Flower"),
        " shows each worker and batch. It asks for a name and a password, which whoever set facemem up has; docs/operations.md says how to read it.",
      ),
  ];
}

const inOrder = (processes) =>
  processes.toSorted((a, b) => Object.keys(WORK).indexOf(a.work) - Object.keys(WORK).indexOf(b.work));

async function cards() {
  const { models } = await read("v1/models");
  return [
    el("h2", {}, "Models"),
    ...models.map((model) =>
      el(
        "details",
        { open: model.active },
        el("summary", {}, `${model.name} ${model.digest.slice(0, 12)}${model.active ? " (active)" : ""}`),
        el("p", {}, model.card.summary ?? ""),
        el("p", {}, aboutScores(model.card)),
        el("p", {}, el("strong", {}, "Predicts: "), model.card.target ?? "not said"),
        figures(model.card),
        model.card.data &&
          el(
            "p",
            { class: "quiet" },
            `Data: ${model.card.data.name}. ${model.card.data.credit ?? ""} Licence: ${model.card.licence?.name ?? "not said"}.`,
          ),
        model.card.limits &&
          el(
            "ul",
            {},
            model.card.limits.map((limit) => el("li", {}, limit)),
          ),
      ),
    ),
  ];
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
