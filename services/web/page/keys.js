// Keys: made, listed, revoked. For admins.

import { LONGEST_NAME, me, read, send } from "./api.js";
import { button, confirmed, el, field, fill, notice, table } from "./elements.js";
import { moment } from "./words.js";

const SCOPES = {
  submit: "send sets and control them",
  read: "see results",
  delete: "delete",
  admin: "manage keys and webhooks, read the audit log",
};

/** Shows it in `main`. */
export async function keysPage(main) {
  const who = await me();
  const list = el("div", {});
  const made = el("div", { "aria-live": "polite" });
  const refresh = async () => fill(list, keys(await everyKey(), who, refresh));
  fill(
    main,
    el("h1", {}, "Keys"),
    el(
      "p",
      { class: "lead" },
      `Programs send a key with each request; it acts for the tenant ${who.tenant} and may do what its scopes say.`,
    ),
    form(made, refresh),
    made,
    list,
  );
  await refresh();
}

async function everyKey() {
  const all = [];
  for (let cursor = null; ;) {
    const page = await read(`v1/keys?limit=500${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`);
    all.push(...page.keys);
    cursor = page.next_cursor ?? null;
    if (cursor === null) return all;
  }
}

/** Makes the key that the form says, and shows it. */
const create = (made, refresh) => async (event) => {
  event.preventDefault();
  const { name, days } = event.target.elements;
  const scopes = [...event.target.querySelectorAll("[name=scope]:checked")].map((each) => each.value);
  const seconds = days.value && { expires_in_seconds: Number(days.value) * 86_400 };
  try {
    const key = await send("v1/keys", { name: name.value.trim(), scopes, ...seconds });
    event.target.reset();
    fill(
      made,
      el(
        "div",
        { class: "made" },
        el("p", {}, el("strong", {}, "The new key, shown this once:")),
        el("code", { tabindex: "0" }, key.key),
        button("Copy", () => copied(made, key.key)),
      ),
    );
    await refresh();
  } catch (error) {
    notice(error.message, "wrong");
  }
};

function form(made, refresh) {
  return el(
    "form",
    { class: "options", onsubmit: create(made, refresh) },
    field(
      "Name",
      el("input", { name: "name", required: true, maxlength: LONGEST_NAME, placeholder: "the nightly script" }),
    ),
    field("Expires after days", el("input", { name: "days", type: "number", min: 1, max: 3660, placeholder: "never" })),
    el(
      "fieldset",
      {},
      el("legend", {}, "It may"),
      Object.entries(SCOPES).map(([scope, meaning]) =>
        el(
          "label",
          { class: "check" },
          el("input", { type: "checkbox", name: "scope", value: scope, checked: ["submit", "read"].includes(scope) }),
          ` ${meaning}`,
        ),
      ),
    ),
    button("Make a key", undefined, { type: "submit", class: "main" }),
  );
}

/** Only pages from https, or from this machine, may copy. */
function copied(made, key) {
  if (navigator.clipboard) {
    navigator.clipboard.writeText(key).then(
      () => notice("Copied."),
      (error) => notice(error.message, "wrong"),
    );
    return;
  }
  getSelection().selectAllChildren(made.querySelector("code"));
  notice("It is marked now: copy it with the keyboard.");
}

function keys(all, who, refresh) {
  if (all.length === 0) return el("p", {}, "There is no key yet.");
  const mine = (key) => key.prefix === who.actor;
  return table(
    "Keys of this tenant",
    ["Name", "Begins with", "May", "Made", "Last used", "Valid", "Action"],
    all.map((key) => [
      [key.name, mine(key) && el("span", { class: "quiet" }, " (in use here)")],
      el("code", {}, key.prefix),
      key.scopes.join(", "),
      moment(key.created_at),
      moment(key.last_used_at) || "never",
      until(key),
      key.revoked_at || expired(key) ? "" : revocation(key, mine(key), refresh),
    ]),
  );
}

const expired = (key) => key.expires_at !== null && new Date(key.expires_at) <= new Date();

function until(key) {
  if (key.revoked_at) return `revoked ${moment(key.revoked_at)}`;
  if (expired(key)) return `expired ${moment(key.expires_at)}`;
  return key.expires_at ? moment(key.expires_at) : "until revoked";
}

function revocation(key, mine, refresh) {
  const others = "Programs that use it are refused from now on.";
  const warning = mine ? `It is the key that this page uses: it will ask for another one. ${others}` : others;
  const revoke = async () => {
    if (!(await confirmed(`Revoke “${key.name}”?`, warning, "Revoke"))) return;
    try {
      await send(`v1/keys/${key.id}`, undefined, "DELETE");
      await refresh();
    } catch (error) {
      notice(error.message, "wrong");
    }
  };
  return button("Revoke", revoke, { "aria-label": `Revoke ${key.name}` });
}
