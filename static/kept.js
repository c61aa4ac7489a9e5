// What this browser knows of saved recipes: their keys, and nothing else. Pictures and recipes stay on the server.
//
//   facemix.saved = [{ id, deleteToken, savedAt, expiresAt, name }], newest first
//
// savedAt and expiresAt are ISO 8601 texts; expiresAt is null where a recipe never expires, deleteToken where this
// browser has none. What does not fit is left out: anything may stand in the storage. Where a browser refuses storage,
// there is nothing in the list, and nothing gets into it.

const KEY = "facemix.saved";
const MOST = 500;
const ID = /^[A-Za-z0-9_-]{16}$/;
const LONGEST_NAME = 120;

function read() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? found : [];
  } catch {
    return [];
  }
}

// Whether the browser took it.
function write(entries) {
  try {
    localStorage.setItem(KEY, JSON.stringify(entries));
    return true;
  } catch {
    return false;
  }
}

const time = (value) => (typeof value === "string" && !Number.isNaN(Date.parse(value)) ? value : null);

function checked(entry) {
  if (entry === null || typeof entry !== "object") return null;
  if (typeof entry.id !== "string" || !ID.test(entry.id)) return null;
  return {
    id: entry.id,
    deleteToken: typeof entry.deleteToken === "string" && entry.deleteToken ? entry.deleteToken : null,
    savedAt: time(entry.savedAt) ?? new Date(0).toISOString(),
    expiresAt: time(entry.expiresAt),
    name: typeof entry.name === "string" ? entry.name.slice(0, LONGEST_NAME) : "",
  };
}

export const kept = {
  // Every entry, the newest first.
  list() {
    const seen = new Map();
    for (const entry of read().map(checked)) if (entry && !seen.has(entry.id)) seen.set(entry.id, entry);
    return [...seen.values()].sort((first, second) => Date.parse(second.savedAt) - Date.parse(first.savedAt));
  },

  find(id) {
    return kept.list().find((entry) => entry.id === id) ?? null;
  },

  // Returns whether the browser took it. Of more than MOST the oldest are forgotten.
  add({ id, deleteToken = null, savedAt = new Date().toISOString(), expiresAt = null, name = "" }) {
    const entry = checked({ id, deleteToken, savedAt, expiresAt, name });
    if (entry === null) throw new TypeError(`${id} is not the id of a saved recipe`);
    return write([entry, ...kept.list().filter((other) => other.id !== id)].slice(0, MOST));
  },

  remove(id) {
    return write(kept.list().filter((entry) => entry.id !== id));
  },

  // Calls back when another tab has changed the list.
  onChange(callback) {
    window.addEventListener("storage", (event) => {
      if (event.key === KEY || event.key === null) callback();
    });
  },
};
