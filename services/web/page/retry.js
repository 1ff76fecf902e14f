// Trying again until it works, or it is clear that it never will.

import { Refused, Unreachable, pause } from "./api.js";

const LONGEST_PAUSE = 30;
// What another try may mend: nothing answered, the service or storage is away, or too much was asked.
const passing = (status) => status === 408 || status === 429 || status >= 500;

const message = (error) => error.message;

/** Returns what `attempt` does. `trouble` is told {message, wait} before each further try, and null when it is over;
 * `explain` makes the message of the error and of how many tries there were. Raises an AbortError when stopped. */
export async function retried(attempt, { signal, trouble, explain = message }) {
  for (let tries = 1, wait = 1; ; tries += 1, wait = Math.min(2 * wait, LONGEST_PAUSE)) {
    signal.throwIfAborted();
    try {
      const answer = await attempt();
      trouble(null);
      return answer;
    } catch (error) {
      if (error instanceof Refused ? !passing(error.status) : !(error instanceof Unreachable)) throw error;
      trouble({ message: await explain(error, tries), wait });
      await rest(wait, signal);
    }
  }
}

/** Until the time is over, the network is back, or all is stopped. */
async function rest(seconds, signal) {
  const over = new AbortController();
  const happened = (where, what) =>
    new Promise((done) => where.addEventListener(what, done, { once: true, signal: over.signal }));
  if (!signal.aborted) await Promise.race([pause(seconds), happened(window, "online"), happened(signal, "abort")]);
  over.abort(); // or what listens would be more with every try
}
