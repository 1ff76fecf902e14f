// What a zip file has in it, from the directory at its end (APPNOTE 4.3.12 and 4.3.16), without unpacking anything.

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const METHODS = [0, 8, 9, 12]; // stored, deflated, deflate64, bzip2: what the service unpacks
const ENCRYPTED = 0x0001 | 0x0040 | 0x2000; // flags: encrypted, strongly encrypted, encrypted directory
const UNKNOWN = 0x0010 | 0x0020; // flags: enhanced deflating, patches
const MOST_AT_END = 65_557; // the end record and the longest comment
const MOST_DIRECTORY = 64 * 1024 * 1024;

/**
 * [{name, size, refused}] of a File: `refused` says why the service would refuse the whole of it. Null if it is not
 * a whole zip, undefined if it cannot be looked into: one over 4 GB (zip64).
 */
export async function zipEntries(file) {
  const tail = new DataView(await file.slice(Math.max(0, file.size - MOST_AT_END)).arrayBuffer());
  let end = tail.byteLength - 22;
  while (end >= 0 && tail.getUint32(end, true) !== END) end -= 1;
  if (end < 0) return null;
  const comment = tail.getUint16(end + 20, true);
  if (end + 22 + comment !== tail.byteLength) return null; // cut off, or with something behind it
  const size = tail.getUint32(end + 12, true);
  const start = tail.getUint32(end + 16, true);
  if (start === 0xffffffff || size > MOST_DIRECTORY) return undefined;
  if (start + size > file.size) return null;
  return entries(new DataView(await file.slice(start, start + size).arrayBuffer()));
}

function entries(directory) {
  const found = [];
  const letters = new TextDecoder();
  for (let at = 0; at + 46 <= directory.byteLength && directory.getUint32(at, true) === ENTRY;) {
    const length = directory.getUint16(at + 28, true);
    const name = letters.decode(
      new Uint8Array(directory.buffer, at + 46, Math.min(length, directory.byteLength - at - 46)),
    );
    const refused = wrongWith(directory.getUint16(at + 8, true), directory.getUint16(at + 10, true));
    found.push({ name, size: directory.getUint32(at + 24, true), refused });
    at += 46 + length + directory.getUint16(at + 30, true) + directory.getUint16(at + 32, true);
  }
  return found;
}

/** What keeps the service from unpacking a member with these flags and this method (4.4.4 and 4.4.5); else null. */
function wrongWith(flags, method) {
  if (flags & ENCRYPTED) return "with a password: pack it without one";
  if (flags & UNKNOWN || !METHODS.includes(method))
    return "packed in a way that the service cannot unpack: pack it with plain deflate";
  return null;
}
