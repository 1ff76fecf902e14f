// The first page: what to send, and the sets that there are.

import { me } from "./api.js";
import { Chooser } from "./chooser.js";
import { el, fill } from "./elements.js";
import { followSets } from "./sets.js";

// What was chosen stays, and what is being sent goes on, when somebody looks at another page meanwhile.
let chooser = null;

// A file that is dropped beside its place would be opened by the browser instead of this page, whichever is shown.
for (const kind of ["dragover", "drop"])
  window.addEventListener(kind, (event) => {
    if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  });

/** Shows it in `main`; returns what is to be done when it is left. */
export async function frontPage(main) {
  const who = await me();
  const sets = el("section", { "aria-label": "Your sets" });
  fill(
    main,
    el("h1", {}, "Which faces stay in mind?"),
    el(
      "p",
      { class: "lead" },
      "Send photographs. Every face gets a score, the words and regions that made it, and its place among others.",
    ),
    who.scopes.includes("submit") ? theChooser().element : el("p", {}, "Your key allows reading only."),
    sets,
  );
  return who.scopes.includes("read") ? followSets(sets) : null;
}

function theChooser() {
  chooser ??= new Chooser(() => {
    chooser = null;
  });
  return chooser;
}
