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

/** One chosen file: {file, name, size, type, archive, inside, wrong}. `wrong` says why it will be rejected, if it will. */
export async function looked(file, name) {
  const most = (await limit("max_file_bytes")) ?? Infinity;
  const archive = archiveType(name);
  const chosen = { file, name, size: file.size, type: null, archive, wrong: null };
  if (archive) {
    const whole = (await limit("max_submission_bytes")) ?? Infinity;
    if (file.size > whole) chosen.wrong = "too large for one request";
    else await lookInto(chosen, most);
    return chosen;
  }
  const begins = new Uint8Array(await file.slice(0, 12).arrayBuffer());
  chosen.wrong = wrongWith({ size: file.size, begins }, most);
  chosen.type = mediaType(begins);
  return chosen;
}

async function lookInto(chosen, most) {
  const [images, unpacked] = [
    (await limit("max_images_per_job")) ?? Infinity,
    (await limit("max_unpacked_bytes")) ?? Infinity,
  ];
  const zip = chosen.archive === ARCHIVES.zip;
  const entries = await (zip ? zipEntries(chosen.file) : tarEntries(chosen.file, { entries: images, bytes: unpacked }));
  if (entries === undefined) return;
  if (entries === null) {
    chosen.wrong = `not a whole ${zip ? "zip" : "tar"} file`;
    return;
  }
  const files = entries.filter((entry) => !entry.name.endsWith("/") && !LITTER.test(entry.name));
  const judged = files.map((entry) => ({ ...entry, wrong: wrongWith(entry, most) }));
  chosen.inside = {
    files: files.length,
    rejected: judged.filter((entry) => entry.wrong),
    // The service looks at how a file begins, not at its name. In a zip that cannot be seen from here, so it is no more than likely.
    doubtful: judged
      .filter((entry) => !entry.wrong && !entry.begins && !PHOTOGRAPH.test(entry.name))
      .map((entry) => entry.name),
  };
  if (entries.length > images) chosen.wrong = `more than the ${count(images)} files that an archive may have`;
  else if (entries.reduce((sum, entry) => sum + entry.size, 0) > unpacked)
    chosen.wrong = `more than ${bytes(unpacked)} when it is unpacked`;
}

/** The files of a drop, with those of folders in it, as [file, path]. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return [...transfer.files].map((file) => [file, file.name]);
  const found = [];
  const walk = async (entry, path) => {
    if (entry.isFile) {
      const file = await new Promise((done, fail) => entry.file(done, fail));
      if (!LITTER.test(entry.name)) found.push([file, path + entry.name]);
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      // it tells a hundred at a time
      const some = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (some.length === 0) return;
      for (const each of some) await walk(each, `${path}${entry.name}/`);
    }
  };
  for (const entry of entries) await walk(entry, "");
  return found;
}

/** The files of an <input>, as [file, path]. */
export const picked = (input) =>
  [...input.files]
    .map((file) => [file, file.webkitRelativePath || file.name])
    .filter(([file]) => !LITTER.test(file.name));

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
