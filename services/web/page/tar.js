// What a tar file has in it (POSIX.1-2017, pax and ustar; GNU's long names), also packed by gzip. None is kept.

const BLOCK = 512;
const AHEAD = 4096; // read at once: a head, and with it how its file begins
const BEGINNING = 12;
const MOST_HEAD = 256 * 1024; // of names and attributes, as the service has it
const FILES = "07";
const WITHOUT_CONTENT = "123456"; // links, devices, folders

/**
 * [{name, size, begins, link}] of a File: `begins` are a file's first bytes; `link` is true for what is no file. It
 * ends with what is over `most`, {entries, bytes}. Null if it is no whole tar, undefined if it cannot be looked into.
 */
export async function tarEntries(file, most) {
  const [first, second] = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  if (first !== 0x1f || second !== 0x8b) return entries(new Plain(file), most);
  const packed = new Packed(file);
  try {
    return await entries(packed, most);
  } catch (error) {
    // Damaged; or several gzip files in a row, which browsers do not take.
    if (error instanceof TypeError) return undefined;
    throw error;
  } finally {
    packed.close();
  }
}

async function entries(tar, most) {
  const found = [];
  let total = 0;
  for (let said = {}; ;) {
    // said: name and size, by a head before the one that they belong to
    const head = await tar.take(BLOCK);
    if (head.length === 0 || head.every((byte) => byte === 0)) return found;
    if (head.length < BLOCK || !sound(head)) return null;
    const kind = String.fromCharCode(head[156] || 0x30);
    const length = number(head.subarray(124, 136));
    if ("xgLK".includes(kind)) {
      const more = length <= MOST_HEAD ? await tar.take(length) : [];
      if (more.length < length || !(await tar.skip(padding(length)))) return null;
      if (kind === "x") said = { ...said, ...records(more) };
      if (kind === "L") said.name = text(more);
      continue;
    }
    const name = said.name ?? nameIn(head);
    const entry = {
      name: kind === "5" ? `${name}/` : name,
      size: WITHOUT_CONTENT.includes(kind) ? 0 : (said.size ?? length),
      link: !FILES.includes(kind),
    };
    if (!(entry.size >= 0)) return null; // or it would go back
    found.push(entry);
    total += entry.size;
    if (found.length > most.entries || total > most.bytes) return found;
    // A copy, or each entry would keep all that was read with it.
    entry.begins = (await tar.take(Math.min(BEGINNING, entry.size))).slice();
    if (!(await tar.skip(entry.size - entry.begins.length + padding(entry.size)))) return null;
    said = {};
  }
}

const letters = new TextDecoder();
const text = (bytes) => letters.decode(bytes.includes(0) ? bytes.subarray(0, bytes.indexOf(0)) : bytes);
const padding = (size) => (BLOCK - (size % BLOCK)) % BLOCK;

/** A number of a head: octal digits, or GNU's binary for what is too large for them. */
const number = (bytes) =>
  bytes[0] & 0x80
    ? bytes.subarray(1).reduce((sum, byte) => sum * 256 + byte, bytes[0] & 0x7f)
    : parseInt(text(bytes).trim() || "0", 8);

/** Whether the sum of a head is what it says; it counts itself as spaces. */
const sound = (head) =>
  head.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 0x20 : byte), 0) === number(head.subarray(148, 156));

function nameIn(head) {
  const name = text(head.subarray(0, 100));
  const prefix = text(head.subarray(257, 263)) === "ustar" ? text(head.subarray(345, 500)) : "";
  return prefix ? `${prefix}/${name}` : name;
}

/** {name, size} of pax records, "LENGTH KEY=VALUE\n" each; the length counts all of it, in bytes. */
function records(bytes) {
  const found = {};
  for (let at = 0; at < bytes.length;) {
    const length = parseInt(letters.decode(bytes.subarray(at, at + 12)), 10);
    if (!(length > 0)) break;
    const [, key, value] = /^\d+ ([^=]*)=([^]*)\n$/.exec(letters.decode(bytes.subarray(at, at + length))) ?? [];
    if (key === "path") found.name = value;
    if (key === "size") found.size = Number(value);
    at += length;
  }
  return found;
}

/** A file that can be read anywhere. */
class Plain {
  constructor(file) {
    Object.assign(this, { file, at: 0, start: 0, ahead: new Uint8Array() });
  }

  /** The next bytes, fewer at the end. */
  async take(wanted) {
    if (this.at + wanted > this.start + this.ahead.length) {
      this.start = this.at;
      this.ahead = new Uint8Array(await this.file.slice(this.at, this.at + Math.max(wanted, AHEAD)).arrayBuffer());
    }
    const taken = this.ahead.subarray(this.at - this.start, this.at - this.start + wanted);
    this.at += taken.length;
    return taken;
  }

  /** Go on behind so many bytes. False if there are fewer. */
  async skip(bytes) {
    this.at += bytes;
    return this.at <= this.file.size;
  }
}

/** A file packed by gzip, which can be read only from its beginning. */
class Packed {
  constructor(file) {
    this.reader = file.stream().pipeThrough(new DecompressionStream("gzip")).getReader();
    this.rest = new Uint8Array();
  }

  async take(wanted) {
    const taken = new Uint8Array(wanted);
    let have = 0;
    await this.#through(wanted, (piece) => {
      taken.set(piece, have);
      have += piece.length;
    });
    return taken.subarray(0, have);
  }

  async skip(bytes) {
    return (await this.#through(bytes, () => {})) === 0;
  }

  /** Do something with each piece of the next bytes. Returns how many were missing. */
  async #through(bytes, each) {
    let missing = bytes;
    while (missing > 0) {
      if (this.rest.length === 0) {
        const { value, done } = await this.reader.read();
        if (done) break;
        this.rest = value;
      }
      const piece = this.rest.subarray(0, missing);
      each(piece);
      missing -= piece.length;
      this.rest = this.rest.subarray(piece.length);
    }
    return missing;
  }

  close() {
    this.reader.cancel().catch(() => {});
  }
}
