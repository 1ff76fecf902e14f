// What would become of links, as the service says before they are sent: its preview. Nothing is kept.

import { send } from "./api.js";
import { el, fill, notice } from "./elements.js";
import { rejected } from "./left_out.js";
import { count, counted, reason, seconds } from "./words.js";

/** Ask for it, show it in `place`, and let `region` say it. */
export async function foresee(links, place, region) {
  try {
    const told = await send("v1/jobs?dry_run=true", { images: links.map((url) => ({ url })) });
    const words = summary(told);
    const bad = told.rejected.first.map(({ name, reason: code, detail }) => ({
      name,
      wrong: `${reason(code)}: ${detail}`,
      link: true,
    }));
    fill(place, el("p", { class: "sum" }, words), bad.length > 0 && rejected(bad));
    region.tell(words);
  } catch (error) {
    notice(error.message, "wrong");
  }
}

function summary({ accepted, images, duplicates, already_scored: scored, estimate_seconds: estimate }) {
  return [
    `${count(accepted)} of ${counted(images, "link")} would be worked on`,
    duplicates && `${count(duplicates)} of them twice`,
    scored && `${count(scored)} scored before`,
    estimate && `about ${seconds(estimate)}`,
  ]
    .filter(Boolean)
    .join("; ");
}
