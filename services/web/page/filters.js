// In which order faces are listed, and which of them.

import { el, field } from "./elements.js";
import { FLAGS, reason } from "./words.js";

// What has become of the photographs that faces are in; only the first of these have scores to be put in order by.
const STATES = [
  ["", "any"],
  ["succeeded", "scored"],
  ["ready dispatched running", "still in work"],
  ["failed", "failed"],
  ["cancelled", "cancelled"],
];
const SCORED = ["", "succeeded"];
const ORDERS = [
  ["-score", "highest score first"],
  ["score", "lowest score first"],
  ["position", "as they were sent"],
];
const BOUNDS = ["min_score", "max_score", "min_percentile", "max_percentile"];

const choices = (options) => options.map(([value, label]) => el("option", { value }, label));
const figure = (label, name, max, step) =>
  field(label, el("input", { name, type: "number", min: 0, max, step, inputmode: "decimal" }));

/** A form; `changed()` is called when something else is asked for. */
export class Filters {
  constructor(changed) {
    const again = () => {
      this.#settle();
      if (this.form.reportValidity()) changed();
    };
    const send = (event) => {
      event.preventDefault();
      again();
    };
    this.order = el("select", { name: "order", onchange: () => (this.chosen = this.order.value) }, choices(ORDERS));
    this.chosen = this.order.value;
    this.state = el("select", { name: "state" }, choices(STATES));
    this.reason = el("select", { name: "reason" });
    this.reasons = field("Failed because", this.reason);
    this.told([]);
    this.form = el(
      "form",
      { class: "options", onchange: again, onsubmit: send },
      field("Order", this.order),
      figure("Score from", "min_score", 1, 0.01),
      figure("to", "max_score", 1, 0.01),
      figure("Percentile from", "min_percentile", 100, "any"),
      figure("to", "max_percentile", 100, "any"),
      field("State", this.state),
      this.reasons,
      flags(),
    );
    // On a phone the faces come first.
    const open = matchMedia("(min-width: 721px)").matches;
    this.element = el("details", { class: "filters", open }, el("summary", {}, "Order and filter"), this.form);
  }

  /** For which reasons images of the set failed: one of them can be chosen. */
  told(reasons) {
    const before = this.reason.value;
    this.reasons.hidden = reasons.length === 0;
    this.reason.replaceChildren(...choices([["", "any reason"], ...reasons.map((code) => [code, reason(code)])]));
    this.reason.value = reasons.includes(before) ? before : "";
  }

  /** What cannot go together is not offered: an order by scores of faces without any, flags of faces without flags. */
  #settle() {
    const scored = SCORED.includes(this.state.value) && !this.reason.value;
    this.order.disabled = !scored;
    this.order.value = scored ? this.chosen : "position";
    const none = this.form.elements.without_flags.checked;
    for (const box of this.form.querySelectorAll("[name=flag]")) {
      box.disabled = none;
      if (none) box.checked = false;
    }
  }

  /** Whether some faces are left out. */
  get active() {
    return [...this.query.keys()].some((name) => name !== "order");
  }

  /** As the service is asked for them. */
  get query() {
    const asked = new URLSearchParams({ order: this.order.value });
    const { elements } = this.form;
    for (const name of [...BOUNDS, "reason"]) if (elements[name].value) asked.set(name, elements[name].value);
    for (const each of this.state.value.split(" ")) if (each) asked.append("state", each);
    for (const box of this.form.querySelectorAll("[name=flag]:checked")) asked.append("flag", box.value);
    if (elements.without_flags.checked) asked.set("without_flags", "true");
    return asked;
  }
}

const flags = () =>
  el(
    "fieldset",
    {},
    el("legend", {}, "With any of these flags"),
    Object.entries(FLAGS).map(([value, label]) => box("flag", value, label)),
    box("without_flags", "true", "without any: trust these most"),
  );

const box = (name, value, label) =>
  el("label", { class: "check" }, el("input", { type: "checkbox", name, value }), ` ${label}`);
