// The first page: what to send, and the sets that there are.

import { LONGEST_NAME, Refused, ask, limit, me, read } from "./api.js";
import { dropped, links as linesOf, looked, picked } from "./choose.js";
import { button, el, fill, notice, refill } from "./elements.js";
import { Sending, preview } from "./sending.js";
import { bytes, count, counted, moment, reason, seconds, sentence } from "./words.js";

const SHOWN = 200;
const LISTED = 50;
const REFRESH_SECONDS = 5;
const DAYS = [
  ["1", "1 day"],
  ["7", "7 days"],
  ["30", "30 days"],
  ["365", "a year"],
];

// What was chosen stays, and what is being sent goes on, when somebody looks at another page meanwhile.
let chooser = null;

/** Shows it in `main`; returns what is to be done when it is left. */
export async function frontPage(main) {
  const who = await me();
  const sets = el("section", { "aria-label": "Your sets" });
  fill(
    main,
    el("h1", {}, "Which faces stay in mind?"),
    el(
      "p",
      { class: "lead" },
      "Send photographs. Every face gets a score, the words and regions that made it, and its place among others.",
    ),
    who.scopes.includes("submit") ? (chooser ??= new Chooser()).element : el("p", {}, "Your key allows reading only."),
    sets,
  );
  if (!who.scopes.includes("read")) return null;
  let pages = 1;
  const refresh = async () => {
    const { jobs, further } = await newest(pages);
    refill(
      sets,
      ...listed(jobs),
      further &&
        button("Show more", () => {
          pages += 1;
          refresh().catch((error) => notice(error.message, "wrong"));
        }),
    );
  };
  await refresh();
  const timer = setInterval(() => refresh().catch(() => {}), REFRESH_SECONDS * 1000);
  const leave = () => clearInterval(timer);
  return leave;
}

async function newest(pages) {
  const jobs = [];
  let cursor = null;
  for (let page = 0; page < pages && (page === 0 || cursor); page += 1) {
    const told = await read(`v1/jobs?limit=${LISTED}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
    jobs.push(...told.jobs);
    cursor = told.next_cursor;
  }
  return { jobs, further: cursor !== null };
}

function listed(jobs) {
  if (jobs.length === 0) return [];
  return [
    el("h2", {}, "Your sets"),
    el(
      "ul",
      { class: "sets" },
      jobs.map((job) =>
        el(
          "li",
          {},
          el(
            "a",
            { class: "set", href: `#/jobs/${job.id}` },
            el("span", { class: "name" }, job.name ?? `Set of ${moment(job.created_at)}`),
            el(
              "span",
              { class: "quiet" },
              counted(job.images, "image"),
              " · ",
              moment(job.created_at),
              job.labels.length ? ` · ${job.labels.join(", ")}` : "",
            ),
            el(
              "span",
              { class: `state ${job.state}` },
              job.state === "running" ? `${Math.floor(job.progress * 100)} %` : sentence(job.state),
            ),
            el("progress", { max: 1, value: job.progress, "aria-label": `Progress of ${job.name ?? "this set"}` }),
          ),
        ),
      ),
    ),
  ];
}

/** Files, folders, an archive and links, until they are sent. */
class Chooser {
  constructor() {
    this.files = [];
    this.most = Infinity;
    limit("max_images_per_job")
      .then((most) => {
        this.most = most ?? Infinity;
      })
      .catch(() => {});
    this.list = el("div", { "aria-live": "polite" });
    this.input = el("input", {
      type: "file",
      multiple: true,
      hidden: true,
      accept: "image/jpeg,image/png,image/webp,.zip,.tar,.tgz,.gz",
      onchange: (event) => this.take(picked(event.target)),
    });
    this.folder = el("input", {
      type: "file",
      webkitdirectory: true,
      hidden: true,
      "aria-label": "A folder",
      onchange: (event) => this.take(picked(event.target)),
    });
    this.input.setAttribute("aria-label", "Files");
    this.text = el("textarea", {
      id: "links",
      rows: 4,
      spellcheck: "false",
      placeholder: "https://example.org/portrait-1.jpg",
      oninput: () => this.draw(),
    });
    this.form = options();
    limit("retention_days")
      .then((days) => {
        if (days) this.form.elements.days.options[0].textContent = `${counted(days, "day")}, as the service has it`;
      })
      .catch(() => {});
    this.element = el(
      "section",
      { class: "chooser", "aria-label": "Send a set" },
      this.#drop(),
      el(
        "details",
        {},
        el("summary", {}, "Paste links instead"),
        el("label", { for: "links" }, "One link in each line; the service fetches them"),
        this.text,
      ),
      this.form,
      this.list,
    );
    this.draw();
  }

  #drop() {
    const over = (event) => {
      event.preventDefault();
      zone.classList.add("over");
    };
    const zone = el(
      "div",
      {
        class: "drop",
        ondragover: over,
        ondragleave: () => zone.classList.remove("over"),
        ondrop: async (event) => {
          event.preventDefault();
          zone.classList.remove("over");
          await this.take(dropped(event.dataTransfer));
        },
      },
      el("p", {}, "Drop photographs, a folder or an archive here"),
      el(
        "div",
        { class: "actions" },
        button("Choose files", () => this.input.click(), { class: "main" }),
        button("Choose a folder", () => this.folder.click()),
        button("Try a sample set", () => this.samples()),
      ),
      el(
        "p",
        { class: "quiet" },
        "JPEG, PNG or WebP; zip or tar. What cameras write into files is dropped, and originals go when their set is done.",
      ),
      this.input,
      this.folder,
    );
    return zone;
  }

  /** Photographs that came with the service: sent at once, unless somebody is about to send others. */
  async samples() {
    const alone = this.files.length + this.links.length === 0;
    try {
      const { files } = await read("samples");
      const taken = await Promise.all(
        files.map(async (name) => {
          const answer = await ask(`samples/${name}`);
          return [new File([await answer.blob()], name), name];
        }),
      );
      this.form.elements.name.value ||= "Sample set";
      await this.take(taken);
    } catch (error) {
      notice(error.message, "wrong");
      return;
    }
    if (alone && this.ready) await this.send();
  }

  /** `chosen`: pairs of a file and its path, or what will be. */
  async take(chosen) {
    const known = new Set(this.files.map((file) => `${file.name} ${file.size}`));
    try {
      for (const [file, name] of await chosen) {
        if (known.has(`${name} ${file.size}`)) continue;
        this.files.push(await looked(file, name));
        if (this.files.length % 500 === 0)
          fill(this.list, el("p", {}, `Looking at ${count(this.files.length)} files…`));
      }
    } catch (error) {
      notice(error.message, "wrong");
    }
    this.input.value = this.folder.value = ""; // or the same could not be chosen again
    this.draw();
  }

  get links() {
    return linesOf(this.text.value);
  }

  draw() {
    const archives = this.files.filter((file) => file.archive);
    const good = [...this.files.filter((file) => !file.wrong), ...this.links.filter((each) => !each.wrong)];
    const bad = [
      ...this.files.filter((file) => file.wrong).map((file) => [file.name, file.wrong]),
      ...this.files.flatMap((file) =>
        (file.inside?.rejected ?? []).map((entry) => [`${file.name}: ${entry.name}`, entry.wrong]),
      ),
      ...this.links.filter((each) => each.wrong).map((each) => [each.link, each.wrong]),
    ];
    this.ready = false;
    if (good.length + bad.length === 0) {
      fill(this.list);
      return;
    }
    const doubtful = this.files.filter((file) => !file.wrong).flatMap((file) => file.inside?.doubtful ?? []);
    const many = good.length > this.most;
    const mixed = archives.length > 1 || (archives.length === 1 && good.length > 1);
    this.ready = good.length > 0 && !mixed && !many;
    fill(
      this.list,
      el("p", { class: "sum" }, this.#sum(good)),
      bad.length > 0 && rejected(bad),
      doubtful.length > 0 && doubted(doubtful),
      many && el("p", { class: "wrong" }, `A set may have ${counted(this.most, "image")}; send these as several.`),
      mixed && el("p", { class: "wrong" }, "An archive is a set of its own: send it without other files and links."),
      el(
        "div",
        { class: "actions" },
        button("Send", () => this.send(), { class: "main", disabled: !this.ready }),
        this.links.some((each) => !each.wrong) && button("Ask what would become of the links", () => this.preview()),
        button("Clear", () => {
          this.files = [];
          this.text.value = "";
          this.draw();
        }),
      ),
    );
  }

  #sum(good) {
    const [archive] = good.filter((each) => each.archive);
    if (archive)
      return `${archive.name}, ${bytes(archive.size)}${archive.inside ? `: ${counted(archive.inside.files, "file")}` : "; what is in it is looked at when it has arrived"}`;
    const files = good.filter((each) => each.file);
    const total = bytes(files.reduce((sum, each) => sum + each.size, 0));
    return (
      [
        files.length && `${counted(files.length, "photograph")}, ${total}`,
        good.length > files.length && counted(good.length - files.length, "link"),
      ]
        .filter(Boolean)
        .join(" and ") || "Nothing that can be scored yet"
    );
  }

  async preview() {
    try {
      const told = await preview(this.links.filter((each) => !each.wrong).map((each) => each.link));
      this.list.append(
        el(
          "p",
          { class: "sum" },
          `${count(told.accepted)} of ${counted(told.images, "link")} would be worked on`,
          told.duplicates ? `; ${count(told.duplicates)} of them twice` : "",
          told.already_scored ? `; ${count(told.already_scored)} scored before` : "",
          told.estimate_seconds ? `; about ${seconds(told.estimate_seconds)}` : "",
          ".",
        ),
        told.rejected.first.length > 0 &&
          rejected(told.rejected.first.map((each) => [each.name, `${reason(each.reason)}: ${each.detail}`])),
      );
    } catch (error) {
      notice(error.message, "wrong");
    }
  }

  async send() {
    const good = this.files.filter((file) => !file.wrong);
    const sending = new Sending(
      good,
      this.links.filter((each) => !each.wrong).map((each) => each.link),
      said(this.form),
      () => shown.draw(),
    );
    const shown = new Progress(sending);
    const stay = (event) => event.preventDefault();
    window.addEventListener("beforeunload", stay);
    this.element.classList.add("busy");
    fill(this.list, shown.element);
    try {
      const job = await sending.done();
      chooser = null;
      if (this.element.isConnected) location.hash = `#/jobs/${job.id}`;
      else notice("Your set was sent.");
    } catch (error) {
      if (error.name !== "AbortError") notice(error instanceof Refused ? error.message : String(error), "wrong");
      this.draw();
    } finally {
      window.removeEventListener("beforeunload", stay);
      this.element.classList.remove("busy");
    }
  }
}

function options() {
  const field = (label, control) => el("label", {}, el("span", {}, label), control);
  return el(
    "form",
    { class: "options", onsubmit: (event) => event.preventDefault() },
    field(
      "Name",
      el("input", { name: "name", maxlength: LONGEST_NAME, autocomplete: "off", placeholder: "spring campaign" }),
    ),
    field(
      "Described by",
      el(
        "select",
        { name: "captioner" },
        el("option", { value: "auto" }, "Ollama if it is there, else the describer"),
        el("option", { value: "describer" }, "the describer: only what it measured"),
        el("option", { value: "ollama" }, "Ollama"),
      ),
    ),
    field(
      "Keep",
      el(
        "select",
        { name: "days" },
        [["", "until I delete it"], ...DAYS].map(([value, label]) => el("option", { value }, label)),
      ),
    ),
  );
}

function said(form) {
  const { name, captioner, days } = form.elements;
  return {
    ...(name.value.trim() && { name: name.value.trim() }),
    captioner: captioner.value,
    priority: "interactive",
    ...(days.value && { retention_seconds: Number(days.value) * 86_400 }),
  };
}

/** What will be rejected and why, the reasons first. */
function rejected(bad) {
  const why = new Map();
  bad.forEach(([, wrong]) => why.set(wrong, (why.get(wrong) ?? 0) + 1));
  const summary = [...why]
    .slice(0, 4)
    .map(([wrong, number]) => `${count(number)} ${wrong}`)
    .join(", ");
  return el(
    "details",
    { class: "rejected" },
    el("summary", {}, `${counted(bad.length, "file")} will be left out: ${summary}`),
    el(
      "ul",
      {},
      bad
        .slice(0, SHOWN)
        .map(([name, wrong]) =>
          el("li", {}, el("span", { class: "name" }, name), " ", el("span", { class: "quiet" }, wrong)),
        ),
      bad.length > SHOWN && el("li", {}, `and ${count(bad.length - SHOWN)} more`),
    ),
  );
}

/** Members of an archive that are photographs, if they are, under names that do not say so. */
const doubted = (names) =>
  el(
    "details",
    { class: "rejected" },
    el(
      "summary",
      {},
      `${counted(names.length, "file")} ${names.length === 1 ? "is" : "are"} not named as a photograph, and will be set aside if not one`,
    ),
    el(
      "ul",
      {},
      names.slice(0, SHOWN).map((name) => el("li", { class: "name" }, name)),
      names.length > SHOWN && el("li", {}, `and ${count(names.length - SHOWN)} more`),
    ),
  );

/** How far a set has been sent: in all, and each file that is on its way. */
class Progress {
  constructor(sending) {
    this.sending = sending;
    this.bar = el("progress", { max: 1, value: 0, "aria-label": "Sent in all" });
    this.line = el("p", { class: "sum" });
    this.trouble = el("p", { class: "wrong", role: "alert" });
    this.files = el("ul", { class: "sent" });
    this.element = el(
      "div",
      { class: "sending" },
      this.line,
      this.bar,
      this.trouble,
      this.files,
      el(
        "p",
        { class: "quiet" },
        sending.resumes
          ? "If this page is closed, choose the same files again: what has arrived is not sent twice."
          : "Keep this page open: what is interrupted here is sent again from its beginning.",
      ),
      button("Stop", () => sending.stop()),
    );
    this.draw();
  }

  draw() {
    const { files, bytes: all, sentBytes, trouble } = this.sending;
    const sent = files.filter((file) => file.state === "sent").length;
    this.line.textContent = files.length
      ? `${count(sent)} of ${counted(files.length, "file")} · ${bytes(sentBytes)} of ${bytes(all)}`
      : "Submitting…";
    this.bar.value = all ? sentBytes / all : 0;
    this.trouble.textContent = trouble ? `${trouble.message} Next try in ${seconds(trouble.wait)}.` : "";
    fill(
      this.files,
      files
        .filter((file) => file.state === "sending")
        .slice(0, 8)
        .map((file) =>
          el(
            "li",
            {},
            el("span", { class: "name" }, file.name),
            el("progress", { max: file.size, value: file.sent, "aria-label": file.name }),
          ),
        ),
    );
  }
}
