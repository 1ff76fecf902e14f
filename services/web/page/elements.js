// Elements of the page. What is given as a child is text or an element, so nothing that a stranger wrote becomes
// markup.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. Properties: `on…` are listeners, `class`, `data`, `aria` maps, true and false as such. */
export function el(tag, properties = {}, ...children) {
  return filled(document.createElement(tag), properties, children);
}

/** The same of SVG. */
export function svg(tag, properties = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), properties, children);
}

function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.entries(value).forEach(([key, part]) => element.style.setProperty(key, part));
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

/** Put these children in the place of those that are there. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** The same under somebody's hands: whoever was on one of them with the keyboard comes to the one like it. */
export function refill(element, ...children) {
  const like = (each) => each.getAttribute("href") ?? each.getAttribute("aria-label") ?? each.textContent;
  const was = element.contains(document.activeElement) ? like(document.activeElement) : null;
  fill(element, ...children);
  if (was !== null)
    [...element.querySelectorAll("a, button, [tabindex]")]
      .find((each) => like(each) === was)
      ?.focus({ preventScroll: true });
}

/** The same, where only what is another than before is touched: what stays keeps its focus, how far it is scrolled, and
 * its listeners, so these are to depend on nothing but what tells it from others. */
export function redraw(element, ...children) {
  become(element, fill(element.cloneNode(false), ...children));
}

function become(old, fresh) {
  const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
  after.forEach((node, place) => {
    const there = before[place];
    if (!there) old.append(node);
    else if (!alike(there, node)) there.replaceWith(node);
    else if (node.nodeType === Node.TEXT_NODE) {
      if (there.data !== node.data) there.data = node.data;
    } else {
      for (const { name } of [...there.attributes]) if (!node.hasAttribute(name)) there.removeAttribute(name);
      for (const { name, value } of node.attributes)
        if (there.getAttribute(name) !== value) there.setAttribute(name, value);
      become(there, node);
    }
  });
  before.slice(after.length).forEach((node) => node.remove());
}

/** Whether one can become the other: of links and buttons only those that do the same. */
function alike(one, other) {
  if (one.nodeName !== other.nodeName) return false;
  if (one.nodeName === "A") return one.getAttribute("href") === other.getAttribute("href");
  const label = (each) => each.getAttribute("aria-label") ?? each.textContent;
  return one.nodeName !== "BUTTON" || label(one) === label(other);
}

/** A button. */
export function button(label, onclick, properties = {}) {
  return el("button", { type: "button", onclick, ...properties }, label);
}

/** A control of a form under its label. */
export const field = (label, control) => el("label", {}, el("span", {}, label), control);

/** A table; cells are text or elements, those of `numbers` (their indexes) stand on the right. */
export function table(caption, heads, rows, numbers = []) {
  const kind = (place) => (numbers.includes(place) ? "number" : undefined);
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el(
      "table",
      {},
      el("caption", {}, caption),
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          heads.map((head, place) => el("th", { scope: "col", class: kind(place) }, head)),
        ),
      ),
      el(
        "tbody",
        {},
        rows.map((row) =>
          el(
            "tr",
            {},
            row.map((cell, place) => el("td", { class: kind(place) }, cell)),
          ),
        ),
      ),
    ),
  );
}

/** Say something that is not in the way, and is read out. */
export function notice(message, kind = "plain") {
  const shown = el(
    "div",
    { class: `notice ${kind}` },
    el("span", {}, message),
    button("×", () => shown.remove(), { "aria-label": "Dismiss" }),
  );
  notices().append(shown);
  if (kind !== "wrong") setTimeout(() => shown.remove(), 8000);
}

/** Where notices are seen and read out: in the dialog on top, since all else is inert under it. */
const notices = () =>
  [...document.querySelectorAll("dialog[open] > .notices")].at(-1) ?? document.getElementById("notices");

/** Show a dialog over the page. Notices that are there move into it, and out of it when it is closed. */
export function modal(dialog) {
  let inside = dialog.querySelector(":scope > .notices");
  if (!inside) {
    inside = el("div", { class: "notices", role: "status", "aria-live": "polite" });
    dialog.append(inside);
    dialog.addEventListener("close", () => notices().append(...inside.children));
  }
  const there = [...notices().children];
  if (!dialog.isConnected) document.body.append(dialog);
  dialog.showModal();
  inside.append(...there);
}

/** Ask before something is done that cannot be undone. */
export function confirmed(question, detail, action) {
  return new Promise((answer) => {
    const close = (said) => {
      dialog.close();
      dialog.remove();
      answer(said);
    };
    const dialog = el(
      "dialog",
      { class: "ask", "aria-labelledby": "ask-title", oncancel: () => close(false) },
      el("h2", { id: "ask-title" }, question),
      el("p", {}, detail),
      el(
        "div",
        { class: "actions" },
        button("Keep", () => close(false)),
        button(action, () => close(true), { class: "danger" }),
      ),
    );
    modal(dialog);
  });
}
