// Which page is shown: told by what follows the # of the address.

import { NEW_KEY, bundles, forgetKey, key, me } from "./api.js";
import { button, el, fill } from "./elements.js";
import { aboutScores } from "./words.js";
import { frontPage } from "./front.js";
import { JOB_PATH, jobPage } from "./job.js";
import { keysPage } from "./keys.js";
import { systemPage } from "./system.js";

const PAGES = [
  [/^\/?$/, frontPage],
  [JOB_PATH, jobPage],
  [/^\/keys$/, keysPage],
  [/^\/system$/, systemPage],
];

const main = document.getElementById("main");
let leave = null;
let turn = 0;

async function go() {
  const path = location.hash.slice(1);
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
    fill(main, failed(error));
  }
  document.title = `${main.querySelector("h1")?.textContent ?? "facemem"} · facemem`;
}

const failed = (error) => [
  el("h1", {}, error.status === 404 ? "This set is not here" : "That did not work"),
  el("p", { role: "alert" }, error.message),
  el("div", { class: "actions" }, button("Try again", go), el("a", { class: "button", href: "#/" }, "To your sets")),
];

/** What is beside every page: what a score is, and what the key allows. */
function frame() {
  about().catch(() => {});
  me().then(
    (who) => {
      for (const link of document.querySelectorAll("[data-scope]"))
        link.hidden = !who.scopes.includes(link.dataset.scope);
    },
    () => {},
  );
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

window.addEventListener("hashchange", () => go().then(() => main.focus({ preventScroll: true })));
window.addEventListener(NEW_KEY, () => {
  frame();
  if (!main.querySelector("h1")) return; // the page that asked for it goes on by itself
  leave?.();
  leave = null;
  go();
});
for (const link of document.querySelectorAll("[data-to]"))
  link.addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById(link.dataset.to).focus();
  });
go();
frame();
