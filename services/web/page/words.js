// Figures and codes in words for people.

const REASONS = {
  no_face: "No face was found",
  not_an_image: "Not a photograph",
  not_a_file: "Not a file, but a folder or a link to one",
  broken_image: "Damaged or cut off",
  too_large: "Too large",
  decode_crashed: "Damaged so that opening it breaks down",
  decode_timeout: "Takes too long to open",
  fetch_failed: "Could not be fetched just then",
  not_fetched: "The link gave no photograph",
  fetch_refused: "The link leads where the service may not go",
  upload_missing: "Its upload has not arrived",
  upload_mismatch: "Another file arrived than was announced",
  object_missing: "Its photograph is not kept any more",
  invalid_line: "The line cannot be read",
  quota_exceeded: "There is no room left for it",
  worker_lost: "Ended its worker again and again",
  caption_refused: "Ollama would not describe it",
  caption_failed: "Ollama described it badly",
  captioner_unavailable: "Ollama was not there",
  states_broken: "What was computed of it was damaged",
  explanation_inexact: "Its score could not be explained exactly, so it has none",
  deadline_passed: "Not finished by the deadline",
  internal_error: "A fault of the service",
};
export const FLAGS = {
  small: "small in the photograph",
  blurred: "blurred",
  turned: "turned away or tilted",
  dark: "in the dark",
  not_a_photograph: "looks drawn, not photographed",
};
export const STAGES = {
  intake: "Fetch",
  detection: "Find faces",
  captioning: "Describe",
  embedding: "Look and read",
  scoring: "Score",
};

export const count = (number) => number.toLocaleString("en");
export const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
/** How many faces figures rest on: of large sets it is a sample. */
export const sampled = ({ used, scored }) =>
  used < scored ? `${count(used)} of ${counted(scored, "face")}, chosen at random` : counted(used, "face");
export const reason = (code) => REASONS[code] ?? sentence(code);
export const sentence = (code) => (code ? code[0].toUpperCase() + code.slice(1).replaceAll("_", " ") : "");
export const score = (face) => (face.score === null ? "–" : face.score.toFixed(2));
export const spread = (face) => (face.uncertainty === null ? "" : `± ${face.uncertainty.toFixed(2)}`);
export const signed = (number, digits = 3) => `${number < 0 ? "−" : "+"}${Math.abs(number).toFixed(digits)}`;

export function bytes(number) {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let unit = 0;
  while (number >= 1000 && unit < units.length - 1) {
    number /= 1000;
    unit += 1;
  }
  return `${unit && number < 10 ? number.toFixed(1) : Math.round(number)} ${units[unit]}`;
}

export function seconds(number) {
  if (number < 1) return "less than a second";
  if (number < 90) return `${Math.round(number)} s`;
  if (number < 5400) return `${Math.round(number / 60)} min`;
  if (number < 48 * 3600) return `${(number / 3600).toFixed(1)} h`;
  return `${Math.round(number / 86400)} days`;
}

/** 71.2 as 71st; nobody is at the 0th or the 100th. */
export function ordinal(percentile) {
  const whole = Math.min(99, Math.max(1, Math.round(percentile)));
  const teen = whole >= 11 && whole <= 13;
  return `${whole}${teen ? "th" : ({ 1: "st", 2: "nd", 3: "rd" }[whole % 10] ?? "th")}`;
}

export const moment = (text) =>
  text ? new Date(text).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" }) : "";

/** What a score is and what it is not: the first sentences of the two first limits on the bundle's card. */
export function aboutScores(card) {
  if (!card) return "The bundle of these scores is not here any more, nor what it says of them.";
  return (card.limits ?? [])
    .slice(0, 2)
    .map((limit) => `${limit.split(". ")[0].replace(/\.$/, "")}.`)
    .join(" ");
}

/** Among which faces a percentile is, as the bundle's card says. */
export const learnedFrom = (card) =>
  `the faces that the model learned from${card?.data?.name ? ` (${card.data.name})` : ""}`;
