// Pictures of a face: the photograph that it is in, and what the model saw of it.

import { show } from "./api.js";
import { el, svg } from "./elements.js";

const SIDE = 224;

/** The face as the model saw it. */
export function crop(face) {
  const picture = el("img", { alt: "The face as the model saw it, 224 × 224", width: SIDE, height: SIDE });
  show(picture, face.links.crop);
  return picture;
}

/** The photograph with its faces framed; nothing if it was not kept. */
export function photograph(face, image) {
  if (!image?.links.photo) return null;
  const picture = el("img", { alt: `The photograph ${image.image}` });
  show(picture, image.links.photo);
  const box = (each) => {
    const [left, top, right, bottom] = each.box;
    return svg("rect", {
      class: each.id === face.id ? "box" : "box other",
      x: left,
      y: top,
      width: right - left,
      height: bottom - top,
    });
  };
  const viewBox = `0 0 ${image.width} ${image.height}`;
  const several = `${image.faces.length} faces; this one is framed`;
  return el(
    "figure",
    { class: "photograph" },
    el(
      "div",
      { class: "over" },
      picture,
      image.width && svg("svg", { viewBox, "aria-hidden": "true" }, image.faces.map(box)),
    ),
    el("figcaption", { class: "quiet" }, image.faces.length > 1 ? several : "The photograph"),
  );
}
