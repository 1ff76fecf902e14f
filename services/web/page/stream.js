// A job's status as it happens: server-sent events, read by hand because EventSource sends no key.

import { ask, pause } from "./api.js";

const LONGEST_PAUSE = 15;

/** Calls `told(status)` whenever the job has changed, until it ends (`ended(state)`) or `signal` is aborted. */
export async function follow(job, signal, told, ended, trouble) {
  let last = null;
  for (let wait = 1; !signal.aborted;) {
    try {
      const answer = await ask(`v1/jobs/${job}/events`, { signal, headers: last ? { "Last-Event-ID": last } : {} });
      trouble(null);
      wait = 1;
      for await (const event of events(answer.body)) {
        if (event.id) last = event.id;
        if (event.name === "status") told(JSON.parse(event.data));
        if (event.name === "end") {
          ended(JSON.parse(event.data).state);
          return;
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 404) {
        ended("deleted");
        return;
      }
      trouble(error.message);
      await pause(wait);
      wait = Math.min(2 * wait, LONGEST_PAUSE);
    }
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
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
