// What files are known by, here and to the service: their SHA-256.

import { Refused } from "./api.js";

/** Only pages from https, or from this machine, may compute one; without it what was interrupted is sent again. */
export const canDigest = Boolean(crypto.subtle);

const known = new WeakMap();

/** The SHA-256 of a text or bytes, in hexadecimal. */
export async function sha256(content) {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...sum].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** That of a chosen file, computed once: browsers do not read one that was changed since. Raises Refused then. */
export async function digest({ file, name }) {
  if (!known.has(file)) {
    const content = await file.arrayBuffer().catch(() => {
      throw new Refused({ code: "unreadable", detail: `${name} cannot be read any more: choose it again.` }, 0);
    });
    known.set(file, await sha256(content));
  }
  return known.get(file);
}
