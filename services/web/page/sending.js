// Sending a set: each file straight to its place in storage, then one submission that names them all.
//
// What has arrived is not sent again: not after a lost connection, and not when the same files are chosen once more
// after the page was closed (they are known by their SHA-256).

import { LONGEST_NAME, Refused, ask, headers, limit, read, send } from "./api.js";
import { canDigest, digest } from "./digest.js";
import { place, put, storageTrouble } from "./put.js";
import { retried } from "./retry.js";
import { answered, before, identity, someHave, submitting } from "./unanswered.js";

// The first few go soon; then so many that a large set does not meet the limit on how often files are announced.
const ANNOUNCED_FIRST = 20;
const ANNOUNCED_AT_ONCE = 200;
const SENT_AT_ONCE = 4;
const REUSED = "idempotency_key_reused"; // what the service says when another set came under a key

// What a place for a file answers when its time is over, as it may be after a long interruption, or a job has taken it:
// there are new ones.
const gone = (status) => status === 403 || status === 404 || status === 409;

/** A set on its way. `told` is called whenever something has changed. */
export class Sending {
  constructor(files, links, options, told) {
    this.files = files.map((chosen) => ({ ...chosen, sent: 0, place: null }));
    this.links = links;
    this.options = options;
    this.told = told;
    this.stopped = new AbortController();
    this.trouble = null;
    this.bytes = this.files.reduce((sum, file) => sum + file.size, 0);
    this.sentBytes = 0;
    this.sentFiles = 0;
    this.underWay = new Set();
  }

  /** Whether files that have arrived are known when they are chosen again: each has a digest, none is an archive. */
  get resumes() {
    return canDigest && !this.#archive;
  }

  get #archive() {
    return this.files.find((file) => file.archive);
  }

  stop() {
    this.stopped.abort();
  }

  /** Send everything. Returns {job, known}: the job's id, and whether the service had the set already, by a submission
   * whose answer was lost; then the id may be null, for a key may not allow to ask. Raises Refused or an AbortError. */
  async done() {
    if (this.#archive) return this.#sendArchive(this.#archive);
    const known = await this.#acceptedBefore();
    if (known) return { job: known, known: true };
    await this.#sendFiles();
    return this.#submit();
  }

  /** How it asks: it waits by itself, and says so. */
  get #impatient() {
    return { patient: false, signal: this.stopped.signal };
  }

  #again(attempt, explain) {
    const trouble = (now) => {
      if (now === this.trouble) return;
      this.trouble = now;
      this.told();
    };
    return retried(attempt, { signal: this.stopped.signal, trouble, explain });
  }

  #identity() {
    return identity(this.files, this.links, this.options);
  }

  /** The job of this set, if it was accepted without its answer getting here; then its files need not be sent again. */
  async #acceptedBefore() {
    if (!someHave(this.files.length, this.bytes)) return null;
    const name = await this.#identity();
    const job = await this.#jobOf(before(name));
    if (job) answered(name);
    return job;
  }

  /** The job that took the first and the last file of a submission, and has as many images. */
  async #jobOf(submission) {
    if (!submission?.places.length) return null;
    const asked = (path) => this.#again(() => read(path, this.#impatient));
    try {
      const [first, last] = await Promise.all(submission.places.map((id) => asked(`v1/uploads/${id}`)));
      if (!first.job || first.job !== last.job) return null;
      return (await asked(`v1/jobs/${first.job}`)).images === submission.images ? first.job : null;
    } catch (error) {
      if (error instanceof Refused) return null; // gone since, or not for this key to know
      throw error;
    }
  }

  async #sendFiles() {
    const allowed = await this.#again(() => limit("uploads_at_once"));
    const most = Math.min(ANNOUNCED_AT_ONCE, allowed ?? ANNOUNCED_AT_ONCE);
    const batches = [];
    for (let first = 0, size; first < this.files.length; first += size) {
      size = Math.min(most, first === 0 ? ANNOUNCED_FIRST : most);
      batches.push(this.files.slice(first, first + size));
    }
    for (const [number, batch] of batches.entries()) {
      const uploads = await this.#announce(batch);
      this.#digestAhead(batches[number + 1] ?? []);
      await this.#sendBatch(batch.map((file, place) => [file, uploads[place]]));
    }
  }

  /** While others are sent: one by one, for each is in memory meanwhile. */
  async #digestAhead(files) {
    for (const file of files) {
      if (!canDigest || this.stopped.signal.aborted) return;
      await digest(file).catch(() => {}); // it is said when its turn comes
    }
  }

  async #sendBatch(left) {
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
    for (const file of files) {
      this.stopped.signal.throwIfAborted();
      announced.push(await announcement(file));
    }
    return (await this.#again(() => send("v1/uploads", { files: announced }, "POST", {}, this.#impatient))).uploads;
  }

  async #sendFile(file, announced) {
    let upload = announced;
    try {
      await this.#put(upload, file);
    } catch (error) {
      if (!(error instanceof Refused) || !gone(error.status)) throw error;
      [upload] = await this.#announce([file]);
      await this.#put(upload, file);
    }
    file.place = upload;
    this.sentFiles += 1;
    this.#progress(file, file.size);
  }

  async #put(upload, file) {
    if (upload.received) return;
    const { url, storage } = place(upload);
    const attempt = () => put("PUT", url, upload.put.headers, file.file, this.#watched(file));
    this.underWay.add(file);
    this.told();
    try {
      await this.#again(attempt, storage ? storageTrouble : undefined);
    } finally {
      this.underWay.delete(file);
    }
  }

  #watched(file) {
    return { signal: this.stopped.signal, progress: (sent) => this.#progress(file, Math.min(sent, file.size)) };
  }

  #progress(file, sent) {
    this.sentBytes += sent - file.sent;
    file.sent = sent;
    this.told();
  }

  async #submit() {
    const images = [
      ...this.files.map((file) => ({ url: file.place.url, name: named(file) })),
      ...this.links.map((link) => ({ url: link })),
    ];
    const name = await this.#identity();
    const earlier = before(name);
    const places = this.files.length ? [this.files[0].place.id, this.files.at(-1).place.id] : [];
    const { key } = submitting(name, this.#about(images.length, places));
    const document = { ...this.options, images };
    try {
      const job = await this.#again(() =>
        send("v1/jobs", document, "POST", { "Idempotency-Key": key }, this.#impatient),
      );
      answered(name);
      return { job: job.id, known: false };
    } catch (error) {
      if (error.code !== REUSED) throw error;
      // The one before arrived while these files were being sent once more.
      const job = await this.#jobOf(earlier);
      answered(name);
      return { job, known: true };
    }
  }

  #about(images, places) {
    return { files: this.files.length, bytes: this.bytes, images, places };
  }

  async #sendArchive(archive) {
    const name = await this.#identity();
    const { key } = submitting(name, this.#about(1, []));
    let tried = false;
    const attempt = async () => {
      // A key that is not valid any more is asked for before all is sent again.
      if (tried) await ask("v1/tenant", this.#impatient);
      tried = true;
      try {
        return await this.#post(archive, key);
      } catch (error) {
        if (error.status === 401) return attempt();
        throw error;
      }
    };
    try {
      const answer = await this.#again(attempt);
      answered(name);
      return { job: JSON.parse(answer).id, known: false };
    } catch (error) {
      if (error.code !== REUSED) throw error;
      answered(name); // what is in it was changed since; so this is another set
      return this.#sendArchive(archive);
    }
  }

  #post(archive, key) {
    const said = new URLSearchParams(this.options);
    const head = { "Content-Type": archive.archive, "Idempotency-Key": key, ...headers() };
    return put("POST", `v1/jobs?${said}`, head, archive.file, this.#watched(archive));
  }
}

/** The end of a path tells more than its beginning. By characters, or half of one might be left. */
const named = (chosen) => [...chosen.name].slice(-LONGEST_NAME).join("");

async function announcement(chosen) {
  const known = canDigest ? { sha256: await digest(chosen) } : {};
  return { name: named(chosen), size: chosen.size, media_type: chosen.type, ...known };
}
