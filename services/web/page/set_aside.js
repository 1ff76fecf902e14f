// Images without a score: which they are, and why, in plain words.

import { pause, read, show } from "./api.js";
import { el, fill } from "./elements.js";
import { VirtualList } from "./virtual.js";
import { STAGES, reason } from "./words.js";

const PAGE = 100;
const HEIGHT = 92;
const REFRESH_SECONDS = 2;

/** Shows them in `body`. */
export async function setAside(body, page) {
  const { id } = page.status;
  const sum = el("p", { class: "sum", role: "status" });
  const list = new VirtualList({
    height: HEIGHT,
    label: "Images that were set aside",
    render: row,
    failed: (error) => page.hasGone(error),
  });
  const load = async () => {
    // Under somebody who reads a long list nothing moves.
    if (list.items.length >= PAGE && !list.beginsInSight) return;
    if (!(await list.start(pages(id)))) return;
    const some = "These have no score. A photograph without a face is a result; what failed says why.";
    fill(sum, list.items.length ? some : "Nothing was set aside.");
  };
  fill(body, sum, list.element, list.trouble);
  await load().catch((error) => {
    list.close();
    throw error;
  });
  return { close: () => list.close(), onstatus: whenMore(page.status, load) };
}

/** A function that gets page after page. */
function pages(job) {
  let cursor = 0;
  return async () => {
    if (cursor === null) return [];
    const page = await read(`v1/jobs/${job}/results?state=failed&state=skipped&cursor=${cursor}&limit=${PAGE}`);
    cursor = page.next_cursor;
    return page.results;
  };
}

/** Calls `load` when other images are set aside than before: one call at a time, and again until one has worked. */
function whenMore(status, load) {
  const aside = ({ counts }) => `${counts.failed} ${counts.skipped}`;
  let [shown, loading, latest] = [aside(status), false, status];
  return async (changed) => {
    latest = changed;
    if (loading) return;
    loading = true;
    while (aside(latest) !== shown) {
      const wanted = aside(latest);
      try {
        await load();
        shown = wanted;
      } catch (error) {
        if (error.status === 404) break; // the page says it
      }
      await pause(REFRESH_SECONDS);
    }
    loading = false;
  };
}

function row(image) {
  const picture = el("img", { alt: "", width: 72, height: 72 });
  if (image.links.photo) setTimeout(() => show(picture, image.links.photo));
  const failed = image.state === "failed";
  return el(
    "div",
    { class: "aside" },
    image.links.photo ? picture : el("span", { class: "nothing" }, "no picture"),
    el(
      "div",
      {},
      el("p", { class: "name line" }, image.image),
      el("p", {}, el("strong", {}, reason(image.reason)), failed && ` · at “${STAGES[image.stage]}”`),
      el("p", { class: "quiet line" }, failed && image.detail),
    ),
  );
}
