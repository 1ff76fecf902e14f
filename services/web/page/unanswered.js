// Submissions whose answer is still to come. If it was lost, the service may have the set already; so the same set sent
// again carries the same Idempotency-Key, also after this page was stopped or loaded anew. With the answer its key is
// forgotten: who sends the same set once more on purpose gets another one.

import { canDigest, digest, sha256 } from "./digest.js";

const KEPT = "facemem.unanswered";

// By what is sent. Without digests files that are chosen anew cannot be told from others: then only while the page is
// open.
const entries = new Map(canDigest ? JSON.parse(sessionStorage.getItem(KEPT) ?? "[]") : []);

function keep() {
  if (canDigest) sessionStorage.setItem(KEPT, JSON.stringify([...entries]));
}

/** What tells a set from all others: its files and links, and what is wished for it. */
export async function identity(files, links, options) {
  const contents = [];
  for (const chosen of files) contents.push([chosen.name, chosen.size, await content(chosen)]);
  const all = JSON.stringify([options, links, contents]);
  return canDigest ? sha256(all) : all;
}

/** Of what a file consists. An archive is too large to be read for it. */
const content = (chosen) => (canDigest && !chosen.archive ? digest(chosen) : chosen.file.lastModified);

/** Whether one is as large as this; if not, nothing needs to be read to tell that there is none. */
export const someHave = (files, bytes) =>
  [...entries.values()].some((entry) => entry.files === files && entry.bytes === bytes);

/** What is known of a submission: {key, files, bytes, images, places}; undefined if none waits for its answer. */
export const before = (name) => entries.get(name);

/** Note that it is about to be submitted. Returns what is known of it, with the key that it has. */
export function submitting(name, about) {
  entries.set(name, { key: entries.get(name)?.key ?? newKey(), ...about });
  keep();
  return entries.get(name);
}

export function answered(name) {
  entries.delete(name);
  keep();
}

const newKey = () => crypto.randomUUID?.() ?? String(Math.random()).slice(2) + Date.now();
