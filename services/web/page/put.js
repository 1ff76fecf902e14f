// Sending one file, and how far that is.

import { Refused, Unreachable, ask } from "./api.js";

const FEW_TRIES = 3;
const THROUGH_US = /\/(v1\/uploads\/[0-9a-f-]{36}\/content\?.*)$/;
const STORAGE_AWAY =
  "Storage cannot be reached from this browser, though the service can. Whoever runs it: is the address of storage" +
  ` one that is reached from here, and does its bucket allow PUT from ${location.origin} (CORS)?`;

/** The address to send an upload to, and whether that is storage itself.
 *
 * Where files go through the service, it goes by the address of this page: the service does not know how it is reached,
 * such as by https where something in front of it ends TLS. */
export function place(upload) {
  const [, ours] = THROUGH_US.exec(upload.put.url) ?? [];
  return { url: ours ?? upload.put.url, storage: ours === undefined };
}

/** What keeps a file from its place in storage: after some tries, that it is storage if the service itself answers. */
export async function storageTrouble(error, tries) {
  if (tries < FEW_TRIES || !(error instanceof Unreachable)) return error.message;
  const answers = await ask("healthz").then(
    () => true,
    (other) => other instanceof Refused,
  );
  return answers ? STORAGE_AWAY : error.message;
}

/** Send a file; `progress` is told how many bytes have gone. Returns the text of the answer; raises Refused,
 * Unreachable, or an AbortError. XMLHttpRequest, because fetch tells nothing of how much has been sent. */
export function put(method, url, headers, file, { signal, progress }) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) {
      // Browsers set the length themselves.
      if (name.toLowerCase() !== "content-length") request.setRequestHeader(name, value);
    }
    request.upload.onprogress = (event) => progress(event.loaded);
    request.onload = () => {
      if (request.status === 0) fail(new Unreachable());
      else if (request.status < 300) done(request.responseText);
      else fail(new Refused(problem(request.responseText), request.status));
    };
    request.onerror = () => fail(new Unreachable());
    request.onabort = () => fail(new DOMException("stopped", "AbortError"));
    const stop = () => request.abort();
    signal.addEventListener("abort", stop);
    request.onloadend = () => signal.removeEventListener("abort", stop);
    request.send(file);
  });
}

function problem(answer) {
  try {
    return JSON.parse(answer);
  } catch {
    return {}; // storage answers XML
  }
}
