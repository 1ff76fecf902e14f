// What somebody has chosen: files, folders, an archive, links; and what of it will be rejected, said before it is sent.

import { limit } from "./api.js";
import { tarEntries } from "./tar.js";
import { bytes, count } from "./words.js";
import { zipEntries } from "./zip.js";

const ARCHIVES = {
  zip: "application/zip",
  tar: "application/x-tar",
  tgz: "application/gzip",
  "tar.gz": "application/gzip",
};
const BEGINNING = 12; // bytes by which a photograph is known
const RATIO_FREE_BYTES = 64 * 1024 * 1024; // so much an archive may always have in it, as the service has it
const UNREADABLE = "cannot be read";
const PHOTOGRAPH = /\.(jpe?g|png|webp)$/i;
// What a folder has beside photographs, without anybody having put it there; the service passes over it as well.
const LITTER = /(^|[/\\])(\.(?!\.?([/\\]|$))|(__MACOSX|Thumbs\.db|desktop\.ini)([/\\]|$))/i;

/** The media type of a file by how it begins, as the service tells it; null for anything else. */
function mediaType(head) {
  const begins = (...wanted) => wanted.every((byte, place) => head[place] === byte);
  if (begins(0xff, 0xd8, 0xff)) return "image/jpeg";
  if (begins(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return "image/png";
  if (begins(0x52, 0x49, 0x46, 0x46) && head[8] === 0x57 && head[9] === 0x45 && head[10] === 0x42 && head[11] === 0x50)
    return "image/webp";
  return null;
}

const archiveType = (name) =>
  ARCHIVES[Object.keys(ARCHIVES).find((ending) => name.toLowerCase().endsWith(`.${ending}`))] ?? null;

/** Why a file will be rejected, if that can be seen; else null. `begins`: its first bytes, where they are known. */
function wrongWith({ size, begins, link }, most) {
  if (link) return "a link or the like, and no file";
  if (size === 0) return "empty";
  if (size > most) return "too large";
  return begins && !mediaType(begins) ? "not a JPEG, PNG or WebP file" : null;
}

/** One chosen file: {file, name, size, type, archive, inside, wrong}. `wrong` says why it will be rejected, if it will.
 * Without a file: what could not be read when it was found. */
export async function looked(file, name) {
  const chosen = { file, name, size: file?.size ?? 0, type: null, archive: null, wrong: null };
  if (!file) return { ...chosen, wrong: UNREADABLE };
  chosen.archive = archiveType(name);
  try {
    await (chosen.archive ? lookInto(chosen) : lookAt(chosen));
  } catch (error) {
    if (!(error instanceof DOMException)) throw error; // that is the service's, not the file's
    chosen.wrong = UNREADABLE;
  }
  return chosen;
}

async function lookAt(chosen) {
  const most = (await limit("max_file_bytes")) ?? Infinity;
  const begins = new Uint8Array(await chosen.file.slice(0, BEGINNING).arrayBuffer());
  chosen.wrong = wrongWith({ size: chosen.size, begins }, most);
  chosen.type = mediaType(begins);
}

async function lookInto(chosen) {
  const limits = await archiveLimits();
  if (chosen.size > limits.whole) {
    chosen.wrong = "too large for one request";
    return;
  }
  const zip = chosen.archive === ARCHIVES.zip;
  const entries = await (zip ? zipEntries(chosen.file) : tarEntries(chosen.file, limits));
  if (entries === undefined) return;
  if (entries === null) {
    chosen.wrong = `not a whole ${zip ? "zip" : "tar"} file`;
    return;
  }
  const files = entries.filter((entry) => !entry.name.endsWith("/") && !LITTER.test(entry.name));
  const judged = files.map((entry) => ({ ...entry, wrong: wrongWith(entry, limits.file) }));
  chosen.inside = {
    files: files.length,
    rejected: judged.filter((entry) => entry.wrong),
    // The service looks at how a file begins, not at its name. In a zip that cannot be seen from here, so it is no more
    // than likely.
    doubtful: judged
      .filter((entry) => !entry.wrong && !entry.begins && !PHOTOGRAPH.test(entry.name))
      .map((entry) => entry.name),
  };
  chosen.wrong = wrongWithAll(entries, chosen.size, limits);
}

async function archiveLimits() {
  const most = async (name) => (await limit(name)) ?? Infinity;
  return {
    file: await most("max_file_bytes"),
    whole: await most("max_submission_bytes"),
    entries: await most("max_images_per_job"),
    bytes: await most("max_unpacked_bytes"),
    ratio: await most("max_archive_ratio"),
  };
}

/** Why the service will refuse an archive as a whole, if that can be seen; else null. */
function wrongWithAll(entries, size, limits) {
  const refused = entries.find((entry) => entry.refused);
  if (refused) return refused.refused;
  if (entries.length > limits.entries) return `more than the ${count(limits.entries)} files that an archive may have`;
  const unpacked = entries.reduce((sum, entry) => sum + entry.size, 0);
  if (unpacked > limits.bytes) return `more than ${bytes(limits.bytes)} when it is unpacked`;
  if (unpacked > RATIO_FREE_BYTES && unpacked > limits.ratio * size)
    return `more than ${limits.ratio} times as large when it is unpacked`;
  return null;
}

/** The files of a drop, with those of folders in it, as [file, path]; without a file what cannot be read. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return [...transfer.files].map((file) => [file, file.name]);
  const found = [];
  const walk = async (entry, folder) => {
    const path = folder + entry.name;
    if (LITTER.test(path)) return;
    try {
      if (entry.isFile) found.push([await new Promise((done, fail) => entry.file(done, fail)), path]);
      else for (const each of await inFolder(entry)) await walk(each, `${path}/`);
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      found.push([null, path]);
    }
  };
  for (const entry of entries) await walk(entry, "");
  return found;
}

async function inFolder(entry) {
  const reader = entry.createReader();
  const all = [];
  for (;;) {
    // it tells a hundred at a time
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (some.length === 0) return all;
    all.push(...some);
  }
}

/** The files of an <input>, as [file, path]. */
export const picked = (input) =>
  [...input.files].map((file) => [file, file.webkitRelativePath || file.name]).filter(([, path]) => !LITTER.test(path));

/** Links, a line each, with what will not be fetched: {link, wrong}. */
export function links(text) {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean)
    .map((link) => {
      const known = /^(https?|s3):\/\/[^\s]+$/i.test(link);
      return { link, wrong: known ? null : "not a link: it begins with https:// or s3://" };
    });
}
