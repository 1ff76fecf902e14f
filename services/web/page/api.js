// The API, for the page: keys, problems, and pictures that need a key.

import { button, el, modal, notice } from "./elements.js";

const KEPT_KEY = "facemem.key";
const AT_ONCE = 6;
const MOST_PICTURES = 800;
const SHORT_PAUSE = 2; // seconds that nobody has to be told of

export const NEW_KEY = "facemem:key"; // what happens to the window when another key was entered

export const LONGEST_NAME = 200; // of sets, files and keys, as /v1/limits says

/** What the service refused or could not do, as its problem document says. */
export class Refused extends Error {
  constructor(problem, status) {
    super(problem.detail ?? problem.title ?? `The service answered ${status}.`);
    this.code = problem.code ?? "unknown";
    this.status = status;
    this.limit = problem.limit;
  }
}

/** The service did not answer at all. */
export class Unreachable extends Error {
  constructor() {
    super("The service cannot be reached. What it has accepted goes on.");
    this.code = "unreachable";
  }
}

export const key = () => sessionStorage.getItem(KEPT_KEY);
export const headers = () => (key() ? { Authorization: `Bearer ${key()}` } : {});

/** Forget the key, as when one leaves a machine that others use. */
export function forgetKey() {
  sessionStorage.removeItem(KEPT_KEY);
  location.reload();
}

/** A request; asks for a key where the service wants one, and waits where it says so, unless `patient` is false.
 * Returns the Response; raises Refused or Unreachable. */
export async function ask(path, options = {}) {
  const { patient = true, ...request } = options;
  const mine = key();
  let answer;
  try {
    answer = await fetch(path, { ...request, headers: { ...headers(), ...request.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable();
  }
  if (answer.status === 401) {
    if (key() === mine) await askForKey(mine !== null); // else another one was entered meanwhile
    return ask(path, options);
  }
  if (answer.status === 429 && patient) {
    const wait = Number(answer.headers.get("Retry-After") ?? 1);
    if (wait > SHORT_PAUSE) sayOnce(`Too much was asked of the service; this page goes on in ${wait} s.`, wait);
    await pause(wait);
    request.signal?.throwIfAborted();
    return ask(path, options);
  }
  if (!answer.ok && answer.status !== 304) throw new Refused(await answer.json().catch(() => ({})), answer.status);
  return answer;
}

export const read = async (path, options) => (await ask(path, options)).json();

/** Send a document, and read the answer. */
export async function send(path, document, method = "POST", more = {}, options = {}) {
  const body = document === undefined ? undefined : JSON.stringify(document);
  const answer = await ask(path, {
    ...options,
    method,
    body,
    headers: { ...(body && { "Content-Type": "application/json" }), ...more },
  });
  return answer.status === 204 ? null : answer.json();
}

export const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

let saying = false;

function sayOnce(message, seconds) {
  if (saying) return;
  saying = true;
  notice(message);
  setTimeout(() => {
    saying = false;
  }, seconds * 1000);
}

let asking = null;

function askForKey(wasWrong) {
  asking ??= new Promise((done) => {
    const field = el("input", {
      id: "key",
      type: "password",
      autocomplete: "off",
      required: true,
      placeholder: "fm_…",
    });
    const enter = (event) => {
      event.preventDefault();
      sessionStorage.setItem(KEPT_KEY, field.value.trim());
      asking = null;
      forget();
      dialog.close();
      dialog.remove();
      done();
      window.dispatchEvent(new Event(NEW_KEY));
    };
    // A browser heeds the prevented cancel once; at the second Escape it closes the dialog all the same.
    const again = () => {
      if (asking) modal(dialog);
    };
    const listeners = { oncancel: (event) => event.preventDefault(), onclose: again };
    const form = el("form", { onsubmit: enter }, keyQuestion(wasWrong, field));
    const dialog = el("dialog", { class: "ask", "aria-labelledby": "key-title", ...listeners }, form);
    modal(dialog);
  });
  return asking;
}

const keyQuestion = (wasWrong, field) => [
  el("h2", { id: "key-title" }, "This service asks for a key"),
  el(
    "p",
    {},
    wasWrong ? "The key is not known here, or not any more. " : "",
    "Whoever runs the service makes one: ",
    el("code", {}, "facemem keys create"),
    ". It stays in this tab and is forgotten with it.",
  ),
  el("label", { for: "key" }, "Key"),
  field,
  el("div", { class: "actions" }, button("Use this key", undefined, { type: "submit", class: "main" })),
];

// Pictures: a browser sends no key for an <img>, so with one they are fetched and shown from memory.
let pictures = new Map();
const waiting = [];
let underWay = 0;

/** Let an <img> show a picture of the service. */
export function show(image, path) {
  image.dataset.path = path;
  image.onerror = () => missing(image);
  const known = key() ? pictures.get(path) : path;
  if (known) {
    image.src = known;
    return;
  }
  waiting.push([image, path]);
  setTimeout(next); // when the picture is where it is to be seen
}

/** Have no picture in memory any more: it was deleted, or belongs to somebody else. */
export function forgetPictures() {
  pictures.forEach((address) => URL.revokeObjectURL(address));
  pictures = new Map();
}

function next() {
  while (underWay < AT_ONCE && waiting.length > 0) {
    const [image, path] = waiting.pop();
    if (image.isConnected && image.dataset.path === path) load(image, path);
  }
}

async function load(image, path) {
  const kept = pictures;
  underWay += 1;
  try {
    if (!kept.has(path)) kept.set(path, URL.createObjectURL(await (await ask(path)).blob()));
    const address = kept.get(path);
    if (kept !== pictures)
      URL.revokeObjectURL(address); // all were forgotten meanwhile
    else if (image.dataset.path === path) image.src = address;
    if (kept.size > MOST_PICTURES) {
      const [oldest, gone] = kept.entries().next().value;
      kept.delete(oldest);
      URL.revokeObjectURL(gone);
    }
  } catch {
    missing(image);
  } finally {
    underWay -= 1;
    next();
  }
}

function missing(image) {
  image.classList.add("missing");
  image.alt ||= "This picture cannot be shown";
}

/** Save what the service answers as a file. */
export async function save(path, name) {
  download(key() ? URL.createObjectURL(await (await ask(path)).blob()) : path, name);
}

/** Have the browser save what is at an address, or in an object's, which is given up then. */
export function download(href, name) {
  const link = el("a", { download: name, href });
  if (href.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(href), 60_000);
  document.body.append(link);
  link.click();
  link.remove();
}

/** What is known of the service under one key is not what it is under another. */
function forget() {
  models = tenant = limits = null;
  forgetPictures();
}

let models = null;

/** The service's bundles, by digest. */
export async function bundles() {
  models ??= read("v1/models").then(
    (answer) => new Map(answer.models.map((model) => [model.digest, model])),
    (error) => {
      models = null;
      throw error;
    },
  );
  return models;
}

let tenant = null;

/** Whose the caller's jobs are, and what may be done. */
export async function me() {
  tenant ??= read("v1/tenant").catch((error) => {
    tenant = null;
    throw error;
  });
  return tenant;
}

let limits = null;

/** The limits of the service, by name. */
export async function limit(name) {
  limits ??= read("v1/limits").then(
    (answer) => new Map(answer.limits.map((each) => [each.name, each.value])),
    (error) => {
      limits = null;
      throw error;
    },
  );
  return (await limits).get(name);
}
