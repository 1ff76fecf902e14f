// A job's status as it happens: server-sent events, read by hand because EventSource sends no key.

import { ask, pause, read } from "./api.js";

const OPEN = ["running", "paused"];
const SHORT_PAUSE = 1; // seconds
const LONGEST_PAUSE = 15;
const SILENT_SECONDS = 45; // the service gives a sign of life every 15 s: after so long there is nobody any more
const LOOK_SECONDS = 3; // where there is no room for another stream
const BUSY_SECONDS = 60; // until a stream is asked for again then
const REST_SECONDS = 10; // a job that has ended can be deleted, or run again

/** Follows a job for as long as its page is looked at: by a stream while it is open, by a look now and then else.
 *
 * Nothing is asked while the tab is hidden: a browser has few connections to one host. `told(status)` is called when
 * the job has changed, `gone()` when it was deleted, and `trouble(message)` when it cannot be followed, with null when
 * it can again. */
export class Follower {
  constructor(job, { told, gone, trouble }) {
    Object.assign(this, { job, told, gone, trouble, last: null, busyUntil: 0 });
    this.left = new AbortController();
    this.nudged = new EventTarget();
    this.onvisible = () => this.nudge();
    document.addEventListener("visibilitychange", this.onvisible);
  }

  close() {
    document.removeEventListener("visibilitychange", this.onvisible);
    this.left.abort();
    this.nudge();
  }

  /** Its status is known from elsewhere: do not wait for the next look. */
  heard(status) {
    this.open = OPEN.includes(status.state);
    this.nudge();
  }

  nudge() {
    this.nudged.dispatchEvent(new Event("nudge"));
  }

  /** From its status on. */
  async run(status) {
    this.open = OPEN.includes(status.state);
    let rest = this.open ? 0 : REST_SECONDS;
    for (let wait = SHORT_PAUSE; ;) {
      await this.#rest(rest);
      if (this.left.signal.aborted) return;
      try {
        const streams = this.open && Date.now() > this.busyUntil;
        if (streams) await this.#stream();
        else this.#tell(await read(`v1/jobs/${this.job}`, { signal: this.left.signal }));
        wait = SHORT_PAUSE;
        rest = streams ? SHORT_PAUSE : LOOK_SECONDS;
        if (!this.open) rest = REST_SECONDS;
      } catch (error) {
        if (this.left.signal.aborted) return;
        if (error.status === 404) {
          this.gone();
          return;
        }
        rest = error.name === "AbortError" ? 0 : this.#failed(error, wait);
        wait = Math.min(2 * wait, LONGEST_PAUSE);
      }
    }
  }

  /** For so many seconds, until it is nudged, and then until the tab is seen. */
  async #rest(seconds) {
    const nudge = () => new Promise((done) => this.nudged.addEventListener("nudge", done, { once: true }));
    if (seconds) await Promise.race([pause(seconds), nudge()]);
    while (document.hidden && !this.left.signal.aborted) await nudge();
  }

  /** Returns for how many seconds to wait. */
  #failed(error, wait) {
    if (error.code === "watchers_busy") {
      this.busyUntil = Date.now() + BUSY_SECONDS * 1000;
      return 0;
    }
    this.trouble(`${error.message} This page tries again.`);
    return wait;
  }

  #tell(status) {
    this.trouble(null);
    this.open = OPEN.includes(status.state);
    this.told(status);
  }

  /** Until it ends, which it does after some minutes. Raises an AbortError when it has fallen silent, or is not looked
   * at any more. */
  async #stream() {
    const connection = new AbortController();
    const cut = () => connection.abort();
    const hidden = () => document.hidden && cut();
    let silence;
    const alive = () => {
      clearTimeout(silence);
      silence = setTimeout(cut, SILENT_SECONDS * 1000);
    };
    this.left.signal.addEventListener("abort", cut);
    document.addEventListener("visibilitychange", hidden);
    try {
      alive();
      const headers = this.last ? { "Last-Event-ID": this.last } : {};
      const answer = await ask(`v1/jobs/${this.job}/events`, { signal: connection.signal, headers });
      this.trouble(null);
      for await (const event of events(answer.body, alive)) this.#heard(event);
    } finally {
      clearTimeout(silence);
      this.left.signal.removeEventListener("abort", cut);
      document.removeEventListener("visibilitychange", hidden);
    }
  }

  #heard(event) {
    if (event.id) this.last = event.id;
    if (event.name === "status") this.#tell(JSON.parse(event.data));
    if (event.name !== "end") return;
    const { state } = JSON.parse(event.data);
    if (state === "deleted") throw new Deleted();
    this.open = OPEN.includes(state);
  }
}

/** As the service says it in a stream. */
class Deleted extends Error {
  status = 404;
}

async function* events(body, alive) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    alive();
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const fields = Object.fromEntries(
        part
          .split("\n")
          .filter((line) => !line.startsWith(":"))
          .map((line) => {
            const at = line.indexOf(": ");
            return [line.slice(0, at), line.slice(at + 2)];
          }),
      );
      if (fields.event) yield { name: fields.event, id: fields.id, data: fields.data };
    }
  }
}
