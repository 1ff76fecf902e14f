// Captions, word by word.

import { el } from "./elements.js";

/** A face's caption, each word on the colour of what it adds. */
export function coloured(face) {
  const shade = shades(face.words);
  return el(
    "p",
    { class: "coloured" },
    pieces(face.caption, face.words).map(([text, word]) => (word ? el("span", shade(word), text) : text)),
  );
}

/** The properties of a word's element that give it its colour: the heaviest of `words` has the full one. */
export function shades(words, also = "") {
  const most = Math.max(...words.map((word) => Math.abs(word.contribution)), 1e-9);
  return (word) => ({
    class: `${also} ${word.contribution < 0 ? "lowers" : "raises"}`.trim(),
    style: { "--weight": Math.abs(word.contribution) / most },
  });
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
