// Which page is shown: told by what follows the # of the address.

import { bundles, forgetKey, key, me } from "./api.js";
import { button, el, fill } from "./elements.js";
import { aboutScores } from "./words.js";
import { frontPage } from "./front.js";
import { jobPage } from "./job.js";
import { keysPage } from "./keys.js";
import { systemPage } from "./system.js";

const PAGES = [
  [/^\/?$/, frontPage],
  [/^\/jobs\/([0-9a-f-]{36})(?:\/(faces|insights|set-aside))?(?:\/(\d+))?$/, jobPage],
  [/^\/keys$/, keysPage],
  [/^\/system$/, systemPage],
];

let leave = null;
let turn = 0;

async function go() {
  const path = location.hash.slice(1);
  const main = document.getElementById("main");
  const found = PAGES.map(([pattern, page]) => [page, pattern.exec(path)]).find(([, match]) => match);
  document.querySelectorAll(".top nav a").forEach((link) => {
    const here = link.getAttribute("href") === `#${path || "/"}`;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  });
  const mine = ++turn;
  if (leave?.stay?.(path)) return;
  leave?.();
  leave = null;
  if (!found) {
    fill(main, el("h1", {}, "There is nothing here"), el("p", {}, el("a", { href: "#/" }, "To your sets")));
    return;
  }
  const [page, match] = found;
  const place = el("div", {});
  try {
    const left = (await page(place, ...match.slice(1))) ?? null;
    if (mine !== turn) {
      left?.();
      return;
    } // somebody has gone on meanwhile
    leave = left;
    fill(main, place);
  } catch (error) {
    if (mine !== turn) return;
    fill(
      main,
      el("h1", {}, error.status === 404 ? "This set is not here" : "That did not work"),
      el("p", {}, error.message),
      el(
        "div",
        { class: "actions" },
        button("Try again", go),
        el("a", { class: "button", href: "#/" }, "To your sets"),
      ),
    );
  }
  document.title = `${main.querySelector("h1")?.textContent ?? "facemem"} · facemem`;
}

async function about() {
  const model = [...(await bundles().catch(() => new Map())).values()].find((each) => each.active);
  fill(
    document.getElementById("about"),
    el(
      "p",
      {},
      el("strong", {}, "What a score is. "),
      model ? aboutScores(model.card) : "",
      " facemem identifies nobody and matches nobody across sets.",
    ),
    key() && button("Forget my key", forgetKey, { class: "quiet" }),
  );
}

window.addEventListener("hashchange", () =>
  go().then(() => document.getElementById("main").focus({ preventScroll: true })),
);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
go();
about().catch(() => {});
me()
  .then((who) =>
    document.querySelectorAll("[data-scope]").forEach((link) => {
      link.hidden = !who.scopes.includes(link.dataset.scope);
    }),
  )
  .catch(() => {});
