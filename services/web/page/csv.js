// A table of the page as a file for a spreadsheet (RFC 4180).

import { download } from "./api.js";

// A spreadsheet would run what begins so as a formula (OWASP, "CSV Injection"); numbers may have a sign.
const FORMULA = /^[=+\-@\t\r](?![\d.]+$)/;

function cell({ textContent: text }) {
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Save the table in an element as a file of its caption's name. */
export function saveTable(element) {
  const table = element.querySelector("table");
  const lines = [...table.rows].map((row) => `${[...row.cells].map(cell).join(",")}\r\n`);
  const file = new Blob(lines, { type: "text/csv" });
  download(URL.createObjectURL(file), `${table.caption.textContent}.csv`);
}
