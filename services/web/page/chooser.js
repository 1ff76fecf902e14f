// Where a set is chosen: files, folders, an archive and links, until they are sent.

import { Refused, limit } from "./api.js";
import { links as linesOf, looked } from "./choose.js";
import { dropZone, sampleFiles } from "./drop_zone.js";
import { button, el, fill, notice } from "./elements.js";
import { doubted, rejected } from "./left_out.js";
import { LiveRegion } from "./live_region.js";
import { options, said } from "./options.js";
import { foresee } from "./preview.js";
import { Sending } from "./sending.js";
import { SendingProgress } from "./sending_progress.js";
import { sum, told, wrong } from "./summary.js";
import { count, counted } from "./words.js";

const TOLD_EVERY = 500; // files that were looked at

export class Chooser {
  /** `whenSent` is called when its set has been accepted: it has done its work then. */
  constructor(whenSent) {
    this.whenSent = whenSent;
    this.files = [];
    this.known = new Set(); // names and sizes of the files
    this.lookingAt = 0; // choices that are still looked at: nothing is sent meanwhile
    this.sending = false; // nothing is chosen or drawn meanwhile, and nothing else sent
    this.ready = false;
    this.most = Infinity;
    limit("max_images_per_job")
      .then((most) => {
        this.most = most ?? Infinity;
      })
      .catch(() => {});
    this.region = new LiveRegion();
    this.list = el("div", {});
    this.text = el("textarea", {
      id: "links",
      rows: 4,
      spellcheck: "false",
      placeholder: "https://example.org/portrait-1.jpg",
      oninput: () => this.draw(),
    });
    this.form = options();
    this.samplesButton = button("Try a sample set", () => this.samples());
    this.element = this.#element();
  }

  #element() {
    return el(
      "section",
      { class: "chooser", "aria-label": "Send a set" },
      dropZone((chosen) => this.take(chosen), this.samplesButton),
      el(
        "details",
        {},
        el("summary", {}, "Paste links instead"),
        el("label", { for: "links" }, "One link in each line; the service fetches them"),
        this.text,
      ),
      this.form,
      this.region.element,
      this.list,
    );
  }

  /** Photographs that came with the service: sent at once, unless somebody has chosen others, also meanwhile. */
  async samples() {
    this.samplesButton.disabled = true;
    try {
      const taken = await sampleFiles();
      const alone = this.files.length + this.links.length + this.lookingAt === 0;
      if (alone) this.form.elements.name.value ||= "Sample set";
      await this.take(taken);
      if (alone && this.files.length === taken.length && this.links.length === 0) await this.send();
    } catch (error) {
      notice(error.message, "wrong");
    } finally {
      this.samplesButton.disabled = false;
    }
  }

  /** `chosen`: pairs of a file and its path, or what will be. */
  async take(chosen) {
    if (this.sending) {
      notice("A set is being sent. Choose these again when it has arrived.", "wrong");
      return;
    }
    this.lookingAt += 1;
    this.draw();
    try {
      const pairs = await chosen;
      if (pairs.length === 0) notice("No file was found there; hidden ones are passed over.");
      for (const [file, name] of pairs) await this.#add(file, name);
    } catch (error) {
      notice(error.message, "wrong");
    } finally {
      this.lookingAt -= 1;
      this.draw();
    }
  }

  async #add(file, name) {
    const chosen = await looked(file, name);
    const same = `${name} ${file?.size}`;
    if (this.known.has(same)) return;
    this.known.add(same);
    this.files.push(chosen);
    if (this.files.length % TOLD_EVERY === 0) this.draw();
  }

  #clear() {
    this.files = [];
    this.known.clear();
    this.text.value = "";
    this.draw();
  }

  get links() {
    return linesOf(this.text.value);
  }

  draw() {
    if (this.sending) return;
    this.ready = false;
    if (this.lookingAt > 0) {
      const words = `Looking at ${counted(this.files.length, "file")}…`;
      fill(this.list, el("p", {}, words));
      this.region.tell(words);
      return;
    }
    const links = this.links;
    const good = [...this.files, ...links].filter((each) => !each.wrong);
    const bad = wrong(this.files, links);
    if (good.length + bad.length === 0) {
      fill(this.list);
      this.region.tell("");
      return;
    }
    const doubtful = good.flatMap((each) => each.inside?.doubtful ?? []);
    const hindrance = this.#hindrance(good);
    this.ready = good.length > 0 && !hindrance;
    fill(
      this.list,
      el("p", { class: "sum" }, sum(good)),
      bad.length > 0 && rejected(bad),
      doubtful.length > 0 && doubted(doubtful),
      hindrance && el("p", { class: "wrong" }, hindrance),
      this.#actions(links),
    );
    this.region.tell(`${told(good)} ${bad.length ? `${count(bad.length)} left out.` : ""} ${hindrance ?? ""}`);
  }

  /** Why these cannot be sent as one set; else null. */
  #hindrance(good) {
    if (good.length > 1 && good.some((each) => each.archive))
      return "An archive is a set of its own: send it without other files and links.";
    if (good.length > this.most) return `A set may have ${counted(this.most, "image")}; send these as several.`;
    return null;
  }

  #actions(links) {
    const wanted = links.filter((each) => !each.wrong).map((each) => each.link);
    const foreseen = el("div", {});
    return [
      el(
        "div",
        { class: "actions" },
        button("Send", () => this.send(), { class: "main", disabled: !this.ready }),
        wanted.length > 0 && button("Ask what would become of the links", () => foresee(wanted, foreseen, this.region)),
        button("Clear", () => this.#clear()),
      ),
      foreseen,
    ];
  }

  async send() {
    if (this.sending || !this.ready) return;
    this.sending = true;
    const sending = new Sending(
      this.files.filter((file) => !file.wrong),
      this.links.filter((each) => !each.wrong).map((each) => each.link),
      said(this.form),
      () => shown.changed(),
    );
    const shown = new SendingProgress(sending, this.region);
    const stay = (event) => event.preventDefault();
    window.addEventListener("beforeunload", stay);
    this.element.classList.add("busy");
    fill(this.list, shown.element);
    shown.stop.focus(); // the button that was pressed is gone
    try {
      this.#sent(await sending.done());
    } catch (error) {
      if (error.name !== "AbortError") notice(error instanceof Refused ? error.message : String(error), "wrong");
      this.#backAgain();
    } finally {
      window.removeEventListener("beforeunload", stay);
    }
  }

  #sent({ job, known }) {
    if (known) notice("The service had this set already: it is not there twice.");
    if (job === null) {
      this.#backAgain();
      this.#clear();
      return;
    }
    this.whenSent();
    if (this.element.isConnected) location.hash = `#/jobs/${job}`;
    else if (!known) notice("Your set was sent.");
  }

  /** What was chosen is there again, to be sent once more. */
  #backAgain() {
    const here = this.list.contains(document.activeElement);
    this.sending = false;
    this.element.classList.remove("busy");
    this.draw();
    if (here) this.list.querySelector("button.main")?.focus();
  }
}
