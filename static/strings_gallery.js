// Every sentence that the gallery shows. The server's own messages arrive ready to be shown.

const day = { dateStyle: "long" };
const hour = { dateStyle: "long", timeStyle: "short" };
const DAY_MS = 86_400_000;

export const dayOf = (moment) => new Date(moment).toLocaleDateString(undefined, day);
export const momentOf = (moment) => new Date(moment).toLocaleString(undefined, hour);

// How far off a time is, in words: "in 7 days", "in 3 hours".
function until(moment) {
  const left = Date.parse(moment) - Date.now();
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  if (left >= 2 * DAY_MS) return words.format(Math.round(left / DAY_MS), "day");
  if (left >= 2 * DAY_MS / 24) return words.format(Math.round(left / DAY_MS * 24), "hour");
  return words.format(Math.max(1, Math.round(left / 60_000)), "minute");
}

export const gallery = {
  unnamed: "A saved face",
  count: (count) => (count === 1 ? "One saved face in this browser." : `${count} saved faces in this browser.`),
  saved: (moment) => `Saved ${dayOf(moment)}`,
  ends: (moment) => (moment === null ? "Stays until it is deleted" : `Ends ${dayOf(moment)}, ${until(moment)}`),
  picture: (name, moment) => `${name}, saved ${dayOf(moment)}`,
  open: "Open in the studio",
  parent: "Use as a parent",
  adopt: "Use this picture as a face",
  copy: "Copy link",
  remove: "Delete",
  forget: "Forget here only",
  retry: "Try again",
  dismiss: "Remove from the list",
  copied: "The link is copied.",
  notCopied: "This browser did not allow copying. The link is marked: press Ctrl+C.",
  linkOf: (name) => `Link of ${name}`,
  of: (what, name) => `${what}: ${name}`,
  expired: (moment) => `It ended on ${dayOf(moment)} and is gone from the server.`,
  gone: "It is gone from the server: deleted, or run out.",
  otherModel: (model, live) => (live === null
    ? `It was drawn by ${model}. No model is loaded at the moment, so it cannot be opened now.`
    : `It was drawn by ${model}, and the server now runs ${live}, to which its numbers mean nothing. The picture can still be used as a face.`),
  deleting: "Deleting ...",
  deleted: (id, moment) => `Deleted on ${momentOf(moment)}: picture, recipe and link ${id} are gone from the server.`,
  wasGone: "It was gone from the server already. It is off this list now.",
  forgotten: (name) => `${name} is off this list. Its link goes on working.`,
  dismissed: (name) => `${name} is off this list.`,
  notStored: "This browser did not let the list be changed.",
  askDelete: "Delete this face?",
  askDeleteText: (name) => `${name}: picture, recipe and link will be gone from the server, for everybody. This cannot be undone.`,
  askForget: "Forget it here?",
  askForgetText: (moment, hasToken) => [
    `Its link goes on working${moment === null ? "" : ` until ${dayOf(moment)}`}.`,
    hasToken ? "The key that deletes it stands in this browser alone and is lost with the entry: nobody can delete it sooner then." : "",
  ].filter(Boolean).join(" "),
  yesDelete: "Delete it for everybody",
  yesForget: "Forget it",
};

export const lineage = {
  summary: (count) => (count === 1 ? "Made of one face" : `Mixed of ${count} faces`),
  sample: (number) => `Sample face ${number}`,
  oldSample: (number) => `Sample face ${number} of a model that is gone`,
  photo: "A photo or mix, not kept",
  saved: "A saved face",
  gone: "A saved face that is gone",
  further: "What this one was mixed of",
  loading: "Fetching ...",
  share: (weight) => `${Math.round(weight * 100)} %`,
};
