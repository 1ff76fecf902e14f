// Captions, word by word.

import { el } from "./elements.js";

/** A face's caption, each word on the colour of what it adds. */
export function coloured(face) {
  const most = Math.max(...face.words.map((word) => Math.abs(word.contribution)), 1e-9);
  return el(
    "p",
    { class: "coloured" },
    pieces(face.caption, face.words).map(([text, word]) =>
      word
        ? el(
            "span",
            {
              class: word.contribution < 0 ? "lowers" : "raises",
              style: { "--weight": Math.abs(word.contribution) / most },
            },
            text,
          )
        : text,
    ),
  );
}

/** A caption in pieces: [text, word or null]. Places count characters as Python does: code points. */
export function pieces(caption, words) {
  const letters = [...(caption ?? "")];
  const found = [];
  let at = 0;
  for (const word of [...words].sort((a, b) => a.start - b.start)) {
    if (word.start > at) found.push([letters.slice(at, word.start).join(""), null]);
    found.push([letters.slice(word.start, word.end).join(""), word]);
    at = word.end;
  }
  if (at < letters.length) found.push([letters.slice(at).join(""), null]);
  return found;
}
