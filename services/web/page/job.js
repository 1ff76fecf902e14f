// A set: how far it is, what can be done with it, and its faces, insights, and what was set aside.

import { bundles, forgetPictures, me, read, send } from "./api.js";
import { button, confirmed, el, fill, notice, redraw } from "./elements.js";
import { Failures } from "./failures.js";
import { gallery } from "./gallery.js";
import { howFar } from "./how_far.js";
import { insights } from "./insights.js";
import { jobHead } from "./job_head.js";
import { setAside } from "./set_aside.js";
import { Follower } from "./stream.js";
import { aboutScores, count, counted, reason } from "./words.js";

/** The addresses of its views: of which job, which view, and which face of it. */
export const JOB_PATH = /^\/jobs\/([0-9a-f-]{36})(?:\/(faces|insights|set-aside))?(?:\/(\d+))?$/;

const VIEWS = { faces: ["Faces", gallery], insights: ["Insights", insights], "set-aside": ["Set aside", setAside] };

/** Shows a job; `view` and `face` are what the address names beside it. */
export async function jobPage(main, job, view = "faces", face = null) {
  const status = await read(`v1/jobs/${job}`);
  const page = new JobPage(main, status, await me());
  await page.show(view, face);
  page.follower.run(status);
  const leave = () => page.close();
  // From face to face, and from view to view, the page stays.
  leave.stay = (path) => {
    const match = JOB_PATH.exec(path);
    if (match?.[1] !== job || page.isGone) return false;
    page.show(match[2] ?? "faces", match[3] ?? null).catch((error) => notice(error.message, "wrong"));
    return true;
  };
  return leave;
}

class JobPage {
  constructor(main, status, who) {
    this.status = status;
    this.who = who;
    this.main = main;
    this.head = el("div", { class: "job-head" });
    this.live = el("section", { class: "live", "aria-label": "Progress" });
    this.trouble = el("p", { class: "wrong", role: "alert" });
    this.failures = new Failures(status, this.may("submit"), (reasons) => this.retry(reasons));
    this.tabs = el("nav", { class: "tabs", "aria-label": "Views of this set" });
    this.body = el("section", { class: "view" });
    this.about = el("p", { class: "about" });
    fill(main, this.head, this.live, this.trouble, this.failures.element, this.tabs, this.about, this.body);
    this.draw();
    bundles().then(
      (all) => fill(this.about, aboutScores(all.get(status.bundle.digest)?.card)),
      (error) => fill(this.about, `What these scores are cannot be told now: ${error.message}`),
    );
    this.follower = new Follower(status.id, {
      told: (changed) => this.changed(changed),
      gone: () => this.gone(),
      trouble: (message) => {
        if (this.trouble.textContent !== (message ?? "")) fill(this.trouble, message);
      },
    });
  }

  may(scope) {
    return this.who.scopes.includes(scope);
  }

  close() {
    this.follower.close();
    this.failures.close();
    this.place = null;
    this.closeView?.();
  }

  changed(status) {
    this.status = status;
    this.draw();
    this.failures.changed(status);
    this.onstatus?.(status);
  }

  /** It was changed from here: what follows it is not to wait. */
  #done(status) {
    this.changed(status);
    this.follower.heard(status);
  }

  /** Somebody has deleted it elsewhere, or its time was over. */
  gone() {
    if (this.isGone) return;
    this.isGone = true;
    this.close();
    forgetPictures();
    fill(
      this.main,
      el("h1", {}, "This set was deleted"),
      el("p", { role: "alert" }, "This set was deleted, with its photographs, faces, captions and scores."),
      el("div", { class: "actions" }, el("a", { class: "button", href: "#/" }, "To your sets")),
    );
  }

  /** Whether something was not there because the whole set has gone; the page says so then. */
  async hasGone(error) {
    if (error.status !== 404) return false;
    const told = await read(`v1/jobs/${this.status.id}`).catch((other) => other);
    if (told.status === 404) this.gone();
    return Boolean(this.isGone);
  }

  async wrong(error) {
    if (!(await this.hasGone(error))) notice(error.message, "wrong");
  }

  async show(view, face) {
    if (view !== this.view) {
      this.closeView?.();
      this.closeView = this.onstatus = this.openFace = null;
      this.view = view;
      this.#drawTabs();
      const place = (this.place = el("div", {}));
      if (!this.body.firstChild) fill(this.body, el("p", { class: "loading" }, "Working it out…"));
      let shown;
      try {
        shown = await VIEWS[view][1](place, this);
      } catch (error) {
        if (place === this.place) await this.#failed(error, view, face);
        return;
      }
      if (place !== this.place) {
        shown.close?.();
        return;
      } // somebody has gone on to another view
      fill(this.body, place);
      this.closeView = shown.close;
      this.onstatus = shown.onstatus;
      this.openFace = shown.openFace;
    }
    this.openFace?.(face);
  }

  async #failed(error, view, face) {
    this.view = null;
    if (await this.hasGone(error)) return;
    fill(
      this.body,
      el("p", { class: "wrong", role: "alert" }, error.message),
      button("Try again", () => this.show(view, face)),
    );
  }

  draw() {
    redraw(this.head, jobHead(this));
    redraw(this.live, howFar(this.status));
    this.#drawTabs();
  }

  #drawTabs() {
    const { failed, skipped } = this.status.counts;
    const aside = failed + skipped ? ` (${count(failed + skipped)})` : "";
    redraw(
      this.tabs,
      Object.entries(VIEWS).map(([name, [label]]) =>
        el(
          "a",
          { href: `#/jobs/${this.status.id}/${name}`, "aria-current": name === this.view && "page" },
          label,
          name === "set-aside" && aside,
        ),
      ),
    );
  }

  /** Pause, resume or cancel it. */
  async act(name, said) {
    try {
      this.#done(await send(`v1/jobs/${this.status.id}/${name}`));
      notice(said);
    } catch (error) {
      await this.wrong(error);
    }
  }

  /** Try again what failed, for these reasons or for any. */
  async retry(reasons = []) {
    try {
      const told = await send(`v1/jobs/${this.status.id}/retry`, { reasons });
      const why = Object.keys(told.by_reason).map(reason).join(", ");
      notice(
        told.images
          ? `Tried again: ${counted(told.images, "image")}.`
          : `None of them can be tried again: ${why || "their pixels were not kept, or their lines led nowhere"}.`,
      );
      this.#done(await read(`v1/jobs/${this.status.id}`));
    } catch (error) {
      await this.wrong(error);
    }
  }

  async delete() {
    const sure = await confirmed(
      "Delete this set for good?",
      "Its photographs, faces, captions and scores go from everywhere. Nothing can be brought back.",
      "Delete for good",
    );
    if (!sure) return;
    try {
      const receipt = await send(`v1/jobs/${this.status.id}`, undefined, "DELETE");
      this.close();
      forgetPictures();
      // The receipt also counts copies, which were made to score faces again.
      notice(`Deleted: ${counted(this.status.images, "image")} and all that was made of them. Receipt ${receipt.id}.`);
      location.hash = "#/";
    } catch (error) {
      await this.wrong(error);
    }
  }
}
