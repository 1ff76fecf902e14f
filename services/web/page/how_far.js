// How far a set is, stage by stage.

import { el } from "./elements.js";
import { STAGES, count, counted, moment, seconds, sentence } from "./words.js";

/** What there is to say of a job's status. */
export function howFar(status) {
  const open = ["running", "paused"].includes(status.state);
  return [
    open ? underWay(status) : ended(status),
    open && stages(status),
    status.held_up.map((each) => {
      const waiting = `${counted(each.images, "image")} ${each.images === 1 ? "waits" : "wait"}`;
      return el("p", { class: "wrong" }, `${waiting} at ${STAGES[each.stage]}: ${each.detail}`);
    }),
  ];
}

function told({ counts }) {
  const { succeeded, skipped, failed, cancelled } = counts;
  return [
    `${count(succeeded)} scored`,
    skipped && `${count(skipped)} without a face`,
    failed && `${count(failed)} failed`,
    cancelled && `${count(cancelled)} cancelled`,
  ]
    .filter(Boolean)
    .join(", ");
}

const ended = (status) =>
  el(
    "p",
    { class: "sum" },
    el("strong", { class: `state ${status.state}` }, sentence(status.state)),
    ` ${moment(status.finished_at)}: ${told(status)}.`,
  );

function underWay(status) {
  const running = status.state === "running";
  const left = running && status.estimate_seconds !== null && `about ${seconds(status.estimate_seconds)} left`;
  const rate = status.rate >= 10 ? Math.round(status.rate) : status.rate?.toFixed(1);
  const pace = [status.rate && `${rate} images a second`, left].filter(Boolean).join(", ");
  const far = running ? `${Math.floor(status.progress * 100)} %` : "Paused";
  return [
    el(
      "p",
      { class: "sum" },
      el("strong", { class: `state ${status.state}` }, far),
      ` ${told(status)}`,
      pace && ` · ${pace}`,
    ),
    el("progress", { max: 1, value: status.progress, "aria-label": "Progress of the set" }),
  ];
}

const stages = (status) =>
  el(
    "ol",
    { class: "stages" },
    status.stages.map((stage) =>
      el(
        "li",
        {},
        el("span", { class: "name" }, STAGES[stage.stage]),
        el("progress", {
          max: status.images || 1,
          value: stage.passed,
          "aria-label": `${STAGES[stage.stage]}: passed`,
        }),
        el(
          "span",
          { class: "quiet" },
          `${count(stage.passed)} done`,
          stage.running ? `, ${count(stage.running)} in work` : "",
          stage.waiting ? `, ${count(stage.waiting)} waiting` : "",
          stage.rate ? `, ${stage.rate.toFixed(1)} a second` : "",
        ),
      ),
    ),
  );
