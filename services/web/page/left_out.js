// What of a choice will not be scored, in lists that can be opened.

import { el } from "./elements.js";
import { count, counted } from "./words.js";

const SHOWN = 200;
const REASONS = 4;

const list = (items, shown) =>
  el(
    "ul",
    {},
    items.slice(0, SHOWN).map(shown),
    items.length > SHOWN && el("li", {}, `and ${count(items.length - SHOWN)} more`),
  );

/** "2 files and 1 link", as far as there are some. */
export const filesAndLinks = (files, links) =>
  [files > 0 && counted(files, "file"), links > 0 && counted(links, "link")].filter(Boolean).join(" and ");

/** What will be rejected and why, the reasons first: {name, wrong, link} each. */
export function rejected(bad) {
  const why = new Map();
  bad.forEach(({ wrong }) => why.set(wrong, (why.get(wrong) ?? 0) + 1));
  const summary = [...why]
    .slice(0, REASONS)
    .map(([wrong, number]) => `${count(number)} ${wrong}`)
    .join(", ");
  const links = bad.filter((each) => each.link).length;
  return el(
    "details",
    { class: "rejected" },
    el("summary", {}, `${filesAndLinks(bad.length - links, links)} will be left out: ${summary}`),
    list(bad, ({ name, wrong }) =>
      el("li", {}, el("span", { class: "name" }, name), " ", el("span", { class: "quiet" }, wrong)),
    ),
  );
}

/** Members of an archive that are photographs, if they are, under names that do not say so. */
export function doubted(names) {
  const are = names.length === 1 ? "is" : "are";
  return el(
    "details",
    { class: "rejected" },
    el(
      "summary",
      {},
      `${counted(names.length, "file")} ${are} not named as a photograph, and will be set aside if not one`,
    ),
    list(names, (name) => el("li", { class: "name" }, name)),
  );
}
