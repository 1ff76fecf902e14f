// Where photographs are dropped or picked, and those that come with the service.

import { ask, read } from "./api.js";
import { dropped, picked } from "./choose.js";
import { button, el } from "./elements.js";

const WHAT_IS_TAKEN =
  "JPEG, PNG or WebP; zip or tar." +
  " What cameras write into files is dropped, and originals go when their set is done.";

/** The zone; `take` gets what is dropped or picked. `more` is one more button. */
export function dropZone(take, more) {
  const picker = (properties) =>
    el("input", { type: "file", hidden: true, onchange: (event) => take(taken(event.target)), ...properties });
  const files = picker({
    multiple: true,
    accept: "image/jpeg,image/png,image/webp,.zip,.tar,.tgz,.gz",
    "aria-label": "Files",
  });
  const folder = picker({ webkitdirectory: true, "aria-label": "A folder" });
  const zone = el(
    "div",
    {
      class: "drop",
      ondragover: (event) => {
        event.preventDefault();
        zone.classList.add("over");
      },
      ondragleave: () => zone.classList.remove("over"),
      ondrop: (event) => {
        event.preventDefault();
        zone.classList.remove("over");
        take(dropped(event.dataTransfer));
      },
    },
    el("p", {}, "Drop photographs, a folder or an archive here"),
    el(
      "div",
      { class: "actions" },
      button("Choose files", () => files.click(), { class: "main" }),
      button("Choose a folder", () => folder.click()),
      more,
    ),
    el("p", { class: "quiet" }, WHAT_IS_TAKEN),
    files,
    folder,
  );
  return zone;
}

function taken(input) {
  const chosen = picked(input);
  input.value = ""; // or the same could not be chosen again
  return chosen;
}

/** The sample photographs, as [file, name]. */
export async function sampleFiles() {
  const { files } = await read("samples");
  return Promise.all(
    files.map(async (name) => {
      const answer = await ask(`samples/${name}`);
      return [new File([await answer.blob()], name), name];
    }),
  );
}
