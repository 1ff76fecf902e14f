// Sending a set: each file straight to its place in storage, then one submission that names them all.
//
// What has arrived is not sent again: not after a lost connection, and not when the same files are chosen once more
// after the page was closed (they are known by their SHA-256).

import { LONGEST_NAME, Refused, Unreachable, ask, headers, pause, send } from "./api.js";

const ANNOUNCED_AT_ONCE = 50;
const SENT_AT_ONCE = 4;
const LONGEST_PAUSE = 30;
// What another try may mend: nothing answered, the service or storage is away, or too much was asked.
const passing = (status) => status === 0 || status === 408 || status === 429 || status >= 500;

// What a place for a file answers when its time is over, as it may be after a long interruption: there are new ones.
const expired = (status) => status === 403 || status === 404;

/** A set on its way. `told` is called with it whenever something has changed. */
export class Sending {
  constructor(files, links, options, told) {
    this.files = files.map((chosen) => ({ ...chosen, sent: 0, state: "waiting", place: null }));
    this.links = links;
    this.options = options;
    this.told = () => told(this);
    this.stopped = new AbortController();
    this.trouble = null;
    this.key = crypto.randomUUID?.() ?? String(Math.random()).slice(2) + Date.now();
  }

  get bytes() {
    return this.files.reduce((sum, file) => sum + file.size, 0);
  }

  get sentBytes() {
    return this.files.reduce((sum, file) => sum + file.sent, 0);
  }

  /** Whether files that have arrived are known when they are chosen again: each has its digest, and none is an archive. */
  get resumes() {
    return Boolean(crypto.subtle) && !this.files.some((file) => file.archive);
  }

  stop() {
    this.stopped.abort();
  }

  /** How it asks: it waits by itself, and says so. */
  get #impatient() {
    return { patient: false, signal: this.stopped.signal };
  }

  /** Send everything. Returns the job; raises Refused, or an AbortError when stopped. */
  async done() {
    const archive = this.files.find((file) => file.archive);
    if (archive) return this.#sendArchive(archive);
    for (let first = 0; first < this.files.length; first += ANNOUNCED_AT_ONCE) {
      const some = this.files.slice(first, first + ANNOUNCED_AT_ONCE).filter((file) => file.state !== "sent");
      await this.#sendSome(some);
    }
    const images = [
      ...this.files.map((file) => ({ url: file.place, name: named(file) })),
      ...this.links.map((link) => ({ url: link })),
    ];
    return this.#again(() =>
      send("v1/jobs", { ...this.options, images }, "POST", { "Idempotency-Key": this.key }, this.#impatient),
    );
  }

  async #sendSome(files) {
    if (files.length === 0) return;
    const uploads = await this.#announce(files);
    const left = files.map((file, number) => [file, uploads[number]]);
    const sender = async () => {
      for (let next = left.shift(); next; next = left.shift()) await this.#sendFile(...next);
    };
    await Promise.all(Array.from({ length: SENT_AT_ONCE }, sender)).catch((error) => {
      this.stop(); // or the others would go on behind what somebody does next
      throw error;
    });
  }

  async #announce(files) {
    const announced = [];
    for (const file of files) announced.push(await announcement(file)); // one by one: each is in memory meanwhile
    return (await this.#again(() => send("v1/uploads", { files: announced }, "POST", {}, this.#impatient))).uploads;
  }

  async #sendFile(file, announced) {
    let upload = announced;
    if (!upload.received) {
      file.state = "sending";
      this.told();
      try {
        await this.#again(() => this.#put(upload.put, file, "PUT"));
      } catch (error) {
        if (!(error instanceof Refused) || !expired(error.status)) throw error;
        [upload] = await this.#announce([file]);
        if (!upload.received) await this.#again(() => this.#put(upload.put, file, "PUT"));
      }
    }
    file.place = upload.url;
    file.state = "sent";
    file.sent = file.size;
    this.told();
  }

  async #sendArchive(archive) {
    const said = new URLSearchParams();
    for (const [name, value] of Object.entries(this.options)) said.append(name, value);
    const to = {
      url: `v1/jobs?${said}`,
      headers: { "Content-Type": archive.archive, "Idempotency-Key": this.key, ...headers() },
    };
    const answer = await this.#again(() => this.#put(to, archive, "POST"));
    archive.state = "sent";
    return JSON.parse(answer);
  }

  /** XMLHttpRequest, because fetch tells nothing of how much has been sent. */
  #put(to, file, method) {
    return new Promise((done, fail) => {
      const request = new XMLHttpRequest();
      request.open(method, to.url);
      for (const [name, value] of Object.entries(to.headers)) {
        if (name.toLowerCase() !== "content-length") request.setRequestHeader(name, value); // browsers set that themselves
      }
      request.upload.onprogress = (event) => {
        file.sent = Math.min(event.loaded, file.size);
        this.told();
      };
      request.onload = () => {
        if (request.status < 300) {
          done(request.responseText);
          return;
        }
        let problem = {};
        try {
          problem = JSON.parse(request.responseText);
        } catch {
          /* storage answers XML */
        }
        fail(new Refused(problem, request.status));
      };
      request.onerror = () => fail(new Unreachable());
      request.onabort = () => fail(new DOMException("stopped", "AbortError"));
      const stop = () => request.abort();
      this.stopped.signal.addEventListener("abort", stop);
      request.onloadend = () => this.stopped.signal.removeEventListener("abort", stop);
      request.send(file.file);
    });
  }

  /** Until it works, or it is clear that it never will. */
  async #again(attempt) {
    for (let wait = 1; ; wait = Math.min(2 * wait, LONGEST_PAUSE)) {
      if (this.stopped.signal.aborted) throw new DOMException("stopped", "AbortError");
      try {
        const answer = await attempt();
        if (this.trouble) {
          this.trouble = null;
          this.told();
        }
        return answer;
      } catch (error) {
        if (error instanceof Refused ? !passing(error.status) : !(error instanceof Unreachable)) throw error;
        this.trouble = { message: error.message, wait };
        this.told();
        await Promise.race([pause(wait), happened(window, "online"), happened(this.stopped.signal, "abort")]);
      }
    }
  }
}

const happened = (where, what) => new Promise((done) => where.addEventListener(what, done, { once: true }));

/** The end of a path tells more than its beginning. By characters, or half of one might be left. */
const named = (chosen) => [...chosen.name].slice(-LONGEST_NAME).join("");

async function announcement(chosen) {
  return { name: named(chosen), size: chosen.size, media_type: chosen.type, ...(await digest(chosen.file)) };
}

/** Only pages from https, or from this machine, may compute one; without it what was interrupted is sent again. */
async function digest(file) {
  if (!crypto.subtle) return {};
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return { sha256: [...sum].map((byte) => byte.toString(16).padStart(2, "0")).join("") };
}

/** What the service says would become of these links: its preview. Nothing is kept. */
export const preview = async (links) =>
  (
    await ask("v1/jobs?dry_run=true", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ images: links.map((url) => ({ url })) }),
    })
  ).json();
