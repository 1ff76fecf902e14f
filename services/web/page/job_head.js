// What a set is, and what can be done with it.

import { save } from "./api.js";
import { button, confirmed, el } from "./elements.js";
import { count, counted, moment } from "./words.js";

const FORMS = ["csv", "xlsx", "jsonl"];

/** The head of a job's page. Its buttons stay the same ones while they say the same. */
export function jobHead(page) {
  const { status } = page;
  const captioner = status.captioner === "auto" ? "Ollama or the describer" : status.captioner;
  return [
    el("p", {}, el("a", { href: "#/" }, "Sets")),
    el("h1", {}, status.name ?? `Set of ${moment(status.created_at)}`),
    el(
      "p",
      { class: "quiet" },
      `${counted(status.images, "image")} · sent ${moment(status.created_at)} · described by ${captioner} · `,
      `bundle ${status.bundle.name ?? "unknown"} ${status.bundle.digest.slice(0, 8)}`,
      status.expires_at && ` · deletes itself ${moment(status.expires_at)}`,
      status.scores_only && " · keeps scores only",
    ),
    actions(page),
  ];
}

function actions(page) {
  const { id, name, state, counts } = page.status;
  const open = ["running", "paused"].includes(state);
  const submits = page.may("submit");
  return el(
    "div",
    { class: "actions" },
    submits &&
      state === "running" &&
      button("Pause", () => page.act("pause", "Paused: what is in work is finished at its stage.")),
    submits && state === "paused" && button("Resume", () => page.act("resume", "It goes on.")),
    submits && open && button("Cancel", () => cancel(page)),
    submits &&
      counts.failed > 0 &&
      state !== "cancelled" &&
      button(`Try ${count(counts.failed)} failed again`, () => page.retry()),
    FORMS.map((form) =>
      button(`Save ${form.toUpperCase()}`, () =>
        save(`v1/jobs/${id}/export?format=${form}`, `${name ?? id}.${form}`).catch((error) => page.wrong(error)),
      ),
    ),
    page.may("delete") && button("Delete", () => page.delete(), { class: "danger" }),
  );
}

async function cancel(page) {
  const sure = await confirmed(
    "Cancel this set?",
    "Images that are finished keep their scores; the others are not scored.",
    "Cancel the set",
  );
  if (sure) await page.act("cancel", "Cancelled.");
}
