// What was chosen, in a few words.

import { el } from "./elements.js";
import { filesAndLinks } from "./left_out.js";
import { bytes, counted } from "./words.js";

/** What will be left out: {name, wrong, link} each. */
export const wrong = (files, links) => [
  ...files.filter((file) => file.wrong),
  ...files
    .filter((file) => !file.wrong)
    .flatMap((file) =>
      (file.inside?.rejected ?? []).map((entry) => ({ name: `${file.name}: ${entry.name}`, wrong: entry.wrong })),
    ),
  ...links.filter((each) => each.wrong).map((each) => ({ name: each.link, ...each })),
];

/** What will be sent. */
export function sum(good) {
  const [archive] = good.filter((each) => each.archive);
  if (archive) {
    const inside = archive.inside
      ? `: ${counted(archive.inside.files, "file")}`
      : "; what is in it is looked at when it has arrived";
    return [el("bdi", {}, archive.name), `, ${bytes(archive.size)}${inside}`];
  }
  const files = good.filter((each) => each.file);
  const all = bytes(files.reduce((total, each) => total + each.size, 0));
  return (
    [
      files.length && `${counted(files.length, "photograph")}, ${all}`,
      good.length > files.length && counted(good.length - files.length, "link"),
    ]
      .filter(Boolean)
      .join(" and ") || "Nothing that can be scored yet"
  );
}

/** The same for those who listen. */
export function told(good) {
  const files = good.filter((each) => each.file).length;
  return good.length ? `Chosen: ${filesAndLinks(files, good.length - files)}.` : "Nothing that can be scored yet.";
}
