// A set: how far it is, what can be done with it, and its faces, insights, and what was set aside.

import { bundles, me, read, save, send } from "./api.js";
import { button, confirmed, el, fill, notice, refill } from "./elements.js";
import { gallery } from "./gallery.js";
import { insights } from "./insights.js";
import { setAside } from "./set_aside.js";
import { follow } from "./stream.js";
import { aboutScores, count, counted, moment, reason, seconds, sentence, STAGES } from "./words.js";

const VIEWS = { faces: ["Faces", gallery], insights: ["Insights", insights], "set-aside": ["Set aside", setAside] };
const OPEN = ["running", "paused"];

/** Shows a job; `view` and `face` are what the address names beside it. */
export async function jobPage(main, job, view = "faces", face = null) {
  const status = await read(`v1/jobs/${job}`);
  const page = new JobPage(main, status, await me());
  await page.show(view, face);
  page.follow();
  const leave = () => page.close();
  // From face to face, and from view to view, the page stays.
  leave.stay = (path) => {
    const match = /^\/jobs\/([0-9a-f-]{36})(?:\/(faces|insights|set-aside))?(?:\/(\d+))?$/.exec(path);
    if (match?.[1] !== job) return false;
    page.show(match[2] ?? "faces", match[3] ?? null).catch((error) => notice(error.message, "wrong"));
    return true;
  };
  return leave;
}

class JobPage {
  constructor(main, status, who) {
    this.status = status;
    this.who = who;
    this.left = new AbortController();
    this.head = el("div", { class: "job-head" });
    this.live = el("section", { class: "live", "aria-label": "Progress" });
    this.tabs = el("nav", { class: "tabs", "aria-label": "Views of this set" });
    this.body = el("section", { class: "view" });
    this.about = el("p", { class: "about" });
    fill(main, this.head, this.live, this.tabs, this.about, this.body);
    this.draw();
    bundles()
      .then((all) => fill(this.about, aboutScores(all.get(status.bundle.digest)?.card)))
      .catch(() => {});
  }

  get open() {
    return OPEN.includes(this.status.state);
  }

  close() {
    this.left.abort();
    this.place = null;
    this.closeView?.();
  }

  follow() {
    if (!this.open || this.following) return; // a set that was paused is still followed
    this.following = true;
    follow(
      this.status.id,
      this.left.signal,
      (status) => {
        this.status = status;
        this.draw();
        this.onstatus?.(status);
      },
      async (state) => {
        if (state === "deleted") {
          notice("This set was deleted.");
          location.hash = "#/";
          return;
        }
        this.status = await read(`v1/jobs/${this.status.id}`);
        this.draw();
        this.onstatus?.(this.status);
      },
      (trouble) => {
        this.trouble = trouble;
        this.draw();
      },
    ).finally(() => {
      this.following = false;
    });
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
        shown = await VIEWS[view][1](place, this.status, this.who, (reasons) => this.retry(reasons));
      } catch (error) {
        if (place === this.place) this.#failed(error, view, face);
        return;
      }
      if (place !== this.place) {
        shown?.close?.();
        return;
      } // somebody has gone on to another view
      fill(this.body, place);
      this.closeView = shown?.close;
      this.onstatus = shown?.onstatus;
      this.openFace = shown?.openFace;
    }
    this.openFace?.(face);
  }

  #failed(error, view, face) {
    this.view = null;
    fill(
      this.body,
      el("p", { class: "wrong", role: "alert" }, error.message),
      button("Try again", () => this.show(view, face)),
    );
  }

  #drawTabs() {
    refill(
      this.tabs,
      Object.entries(VIEWS).map(([name, [label]]) =>
        el(
          "a",
          { href: `#/jobs/${this.status.id}/${name}`, "aria-current": name === this.view && "page" },
          label,
          name === "set-aside" && this.#aside(),
        ),
      ),
    );
  }

  #aside() {
    const number = this.status.counts.failed + this.status.counts.skipped;
    return number ? ` (${count(number)})` : "";
  }

  draw() {
    const { status } = this;
    this.#drawHead();
    fill(
      this.live,
      this.#line(),
      this.trouble && el("p", { class: "wrong", role: "alert" }, this.trouble),
      this.open && this.#stages(),
      status.held_up.map((each) =>
        el(
          "p",
          { class: "wrong" },
          `${counted(each.images, "image")} ${each.images === 1 ? "waits" : "wait"} at ${STAGES[each.stage]}: ${each.detail}`,
        ),
      ),
    );
    if (this.view) this.#drawTabs();
  }

  /** Only when it is another than before: a button that is replaced under a finger is not pressed. */
  #drawHead() {
    const { status } = this;
    const drawn = JSON.stringify([status.state, status.counts.failed, status.expires_at]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    refill(
      this.head,
      el("p", {}, el("a", { href: "#/" }, "Sets")),
      el("h1", {}, status.name ?? `Set of ${moment(status.created_at)}`),
      el(
        "p",
        { class: "quiet" },
        counted(status.images, "image"),
        ` · sent ${moment(status.created_at)} · described by ${status.captioner === "auto" ? "Ollama or the describer" : status.captioner} · bundle ${status.bundle.name ?? "unknown"} ${status.bundle.digest.slice(0, 8)}`,
        status.expires_at && ` · deletes itself ${moment(status.expires_at)}`,
        status.scores_only && " · keeps scores only",
      ),
      this.#actions(),
    );
  }

  #line() {
    const { status } = this;
    const { succeeded, skipped, failed, cancelled } = status.counts;
    const told = [
      `${count(succeeded)} scored`,
      skipped && `${count(skipped)} without a face`,
      failed && `${count(failed)} failed`,
      cancelled && `${count(cancelled)} cancelled`,
    ]
      .filter(Boolean)
      .join(", ");
    if (!this.open)
      return el(
        "p",
        { class: "sum" },
        el("strong", { class: `state ${status.state}` }, sentence(status.state)),
        ` ${moment(status.finished_at)}: ${told}.`,
      );
    const pace = [
      status.rate && `${status.rate >= 10 ? Math.round(status.rate) : status.rate.toFixed(1)} images a second`,
      status.estimate_seconds !== null &&
        status.state === "running" &&
        `about ${seconds(status.estimate_seconds)} left`,
    ]
      .filter(Boolean)
      .join(", ");
    return [
      el(
        "p",
        { class: "sum" },
        el(
          "strong",
          { class: `state ${status.state}` },
          status.state === "paused" ? "Paused" : `${Math.floor(status.progress * 100)} %`,
        ),
        ` ${told}`,
        pace && ` · ${pace}`,
      ),
      el("progress", { max: 1, value: status.progress, "aria-label": "Progress of the set" }),
    ];
  }

  #stages() {
    const all = this.status.images || 1;
    return el(
      "ol",
      { class: "stages" },
      this.status.stages.map((stage) =>
        el(
          "li",
          {},
          el("span", { class: "name" }, STAGES[stage.stage]),
          el("progress", { max: all, value: stage.passed, "aria-label": `${STAGES[stage.stage]}: passed` }),
          el(
            "span",
            { class: "quiet" },
            `${count(stage.passed)} done`,
            stage.running ? `, ${count(stage.running)} in work` : "",
            stage.waiting ? `, ${count(stage.waiting)} waiting` : "",
            stage.rate ? `, ${stage.rate.toFixed(1)} a second` : "",
          ),
        ),
      ),
    );
  }

  #actions() {
    const { status, who } = this;
    const may = (scope) => who.scopes.includes(scope);
    const act = (name, said) => async () => {
      try {
        this.status = await send(`v1/jobs/${status.id}/${name}`);
        this.draw();
        notice(said);
        this.follow();
      } catch (error) {
        notice(error.message, "wrong");
      }
    };
    return el(
      "div",
      { class: "actions" },
      may("submit") &&
        status.state === "running" &&
        button("Pause", act("pause", "Paused: what is in work is finished at its stage.")),
      may("submit") && status.state === "paused" && button("Resume", act("resume", "It goes on.")),
      may("submit") &&
        this.open &&
        button("Cancel", async () => {
          if (
            await confirmed(
              "Cancel this set?",
              "Images that are finished keep their scores; the others are not scored.",
              "Cancel the set",
            )
          )
            await act("cancel", "Cancelled.")();
        }),
      may("submit") &&
        status.counts.failed > 0 &&
        status.state !== "cancelled" &&
        button(`Try ${count(status.counts.failed)} failed again`, () => this.retry()),
      ["csv", "xlsx", "jsonl"].map((form) =>
        button(`Save ${form.toUpperCase()}`, () =>
          save(`v1/jobs/${status.id}/export?format=${form}`, `${status.name ?? status.id}.${form}`).catch((error) =>
            notice(error.message, "wrong"),
          ),
        ),
      ),
      may("delete") && button("Delete", () => this.delete(), { class: "danger" }),
    );
  }

  /** Returns whether any image is tried again. */
  async retry(reasons = []) {
    try {
      const told = await send(`v1/jobs/${this.status.id}/retry`, { reasons });
      notice(
        told.images
          ? `Tried again: ${counted(told.images, "image")}.`
          : `None of them can be tried again: ${Object.keys(told.by_reason).map(reason).join(", ") || "their pixels were not kept, or their lines led nowhere"}.`,
      );
      this.status = await read(`v1/jobs/${this.status.id}`);
      this.draw();
      this.follow();
      return told.images > 0;
    } catch (error) {
      notice(error.message, "wrong");
      return false;
    }
  }

  async delete() {
    if (
      !(await confirmed(
        "Delete this set for good?",
        "Its photographs, faces, captions and scores go from everywhere. Nothing can be brought back.",
        "Delete for good",
      ))
    )
      return;
    try {
      const receipt = await send(`v1/jobs/${this.status.id}`, undefined, "DELETE");
      // The receipt also counts copies, which were made to score faces again.
      notice(`Deleted: ${counted(this.status.images, "image")} and all that was made of them. Receipt ${receipt.id}.`);
      location.hash = "#/";
    } catch (error) {
      notice(error.message, "wrong");
    }
  }
}
