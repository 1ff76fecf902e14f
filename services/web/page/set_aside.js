// Images without a score: why, in plain words, and what can be done.

import { pause, read, send, show } from "./api.js";
import { button, el, fill, refill } from "./elements.js";
import { VirtualList } from "./virtual.js";
import { STAGES, count, counted, reason } from "./words.js";

const PAGE = 100;
const HEIGHT = 92;
const REFRESH_SECONDS = 2;

/** Shows them in `body`; `retry(reasons)` has those tried again. */
export async function setAside(body, status, who, retry) {
  let cursor = 0;
  const more = async () => {
    if (cursor === null) return [];
    const page = await read(`v1/jobs/${status.id}/results?state=failed&state=skipped&cursor=${cursor}&limit=${PAGE}`);
    cursor = page.next_cursor;
    return page.results;
  };
  const list = new VirtualList({ height: HEIGHT, label: "Images that were set aside", render: row });
  const sum = el("p", { class: "sum", role: "status" });
  const again = el("div", {});
  const load = async (now) => {
    if (list.items.length < PAGE || window.scrollY < 400) {
      // under somebody who reads a long list nothing moves
      list.more = null;
      cursor = 0;
      list.set(await more());
      list.more = more;
    }
    fill(
      sum,
      list.items.length
        ? "These have no score. A photograph without a face is a result; what failed says why."
        : "Nothing was set aside.",
    );
    refill(again, who.scopes.includes("submit") && now.state !== "cancelled" && (await retries(now, retry)));
  };
  fill(body, sum, again, list.element);
  await load(status);
  return { close: () => list.close(), onstatus: whenMore(status, load) };
}

/** Calls `load` with a status that has more or fewer images set aside than before; one call at a time, the last is not lost. */
function whenMore(status, load) {
  const aside = ({ counts }) => `${counts.failed} ${counts.skipped}`;
  let [shown, loading, latest] = [aside(status), false, status];
  return async (changed) => {
    latest = changed;
    if (loading) return;
    loading = true;
    while (aside(latest) !== shown) {
      shown = aside(latest);
      await load(latest).catch(() => {});
      await pause(REFRESH_SECONDS);
    }
    loading = false;
  };
}

async function retries(status, retry) {
  if (status.counts.failed === 0) return null;
  const { by_reason: byReason, left_out: leftOut } = await send(`v1/jobs/${status.id}/retry?dry_run=true`, {});
  const again = (code) => async () => {
    if (await retry([code])) location.hash = `#/jobs/${status.id}/faces`;
  };
  return el(
    "div",
    { class: "actions" },
    Object.entries(byReason).map(([code, number]) =>
      button(`Try again: ${reason(code)} (${count(number)})`, again(code)),
    ),
    leftOut > 0 && el("span", { class: "quiet" }, `${counted(leftOut, "image")} cannot be tried again.`),
  );
}

function row(image) {
  const picture = el("img", { alt: "", width: 72, height: 72 });
  if (image.links.photo) setTimeout(() => show(picture, image.links.photo));
  return el(
    "div",
    { class: "aside" },
    image.links.photo ? picture : el("span", { class: "nothing" }, "no picture"),
    el(
      "div",
      {},
      el("p", { class: "name line" }, image.image),
      el(
        "p",
        {},
        el("strong", {}, reason(image.reason)),
        image.state === "failed" ? ` · at “${STAGES[image.stage]}”` : "",
      ),
      el("p", { class: "quiet line" }, image.state === "failed" ? (image.detail ?? "") : ""),
    ),
  );
}
