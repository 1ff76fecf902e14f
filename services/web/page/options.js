// What is wished for a set, beside its photographs.

import { LONGEST_NAME, limit } from "./api.js";
import { el, field } from "./elements.js";
import { counted } from "./words.js";

const CAPTIONERS = [
  ["auto", "Ollama if it is there, else the describer"],
  ["describer", "the describer: only what it measured"],
  ["ollama", "Ollama"],
];
const DAYS = [
  ["", "until I delete it"],
  ["1", "1 day"],
  ["7", "7 days"],
  ["30", "30 days"],
  ["365", "a year"],
];

const choice = (name, values) =>
  el(
    "select",
    { name },
    values.map(([value, label]) => el("option", { value }, label)),
  );

/** The form for it. */
export function options() {
  const name = { name: "name", maxlength: LONGEST_NAME, autocomplete: "off", placeholder: "spring campaign" };
  const days = choice("days", DAYS);
  limit("retention_days")
    .then((kept) => {
      if (kept) days.options[0].textContent = `${counted(kept, "day")}, as the service has it`;
    })
    .catch(() => {});
  return el(
    "form",
    { class: "options", onsubmit: (event) => event.preventDefault() },
    field("Name", el("input", name)),
    field("Described by", choice("captioner", CAPTIONERS)),
    field("Keep", days),
  );
}

/** What it says, as the service takes it. */
export function said(form) {
  const { name, captioner, days } = form.elements;
  return {
    ...(name.value.trim() && { name: name.value.trim() }),
    captioner: captioner.value,
    priority: "interactive",
    ...(days.value && { retention_seconds: Number(days.value) * 86_400 }),
  };
}
