// The state that is shown, and every one before and after it.

import { deepFreeze, EMPTY, LETTERS, MOST_PARENTS } from "./state.js";

const MOST_ENTRIES = 60;
const COALESCE_MS = 700;

// Whether a change changes nothing: what a slider tells at its end, or a lock that leaves no room.
function same(before, next) {
  if (before === next) return true;
  const equal = (one, other) => Object.keys(one).every((name) =>
    (name === "weight" ? Math.abs(one.weight - other.weight) < 1e-9 : one[name] === other[name]));
  return before.parents.length === next.parents.length
    && before.parents.every((parent, index) => equal(parent, next.parents[index]))
    && (before.edits === next.edits || JSON.stringify(before.edits) === JSON.stringify(next.edits));
}

// Events: "change" (detail: { state, before, label }), "result" (passed on from Mixing), "entries" (a thumb came),
// "letters" (the only face is called something else).
export class Store extends EventTarget {
  #entries = [{ label: "", state: EMPTY, thumb: null }];
  #index = 0;
  #last = { coalesce: null, at: 0 };
  #second = null; // key of the parent that is called B while it is the only one
  most = MOST_PARENTS; // parents that the server takes

  get state() {
    return this.#entries[this.#index].state;
  }

  // What its faces are called, in their order.
  get letters() {
    return this.lettersOf(this.state);
  }

  lettersOf({ parents }) {
    const first = parents.length === 1 && parents[0].key === this.#second ? 1 : 0;
    return [...LETTERS].slice(first, first + parents.length);
  }

  // key: of the only parent where it stands in the second place, else null.
  callSecond(key) {
    if (key === this.#second) return;
    this.#second = key;
    this.#tell("letters", {});
  }

  get entries() {
    return this.#entries;
  }

  get index() {
    return this.#index;
  }

  get canUndo() {
    return this.#index > 0;
  }

  get canRedo() {
    return this.#index < this.#entries.length - 1;
  }

  // change: from the present state to the next one. Steps with the same `coalesce` in quick succession, as those of
  // a drag, become one entry.
  update(change, { label = "", coalesce = null } = {}) {
    const before = this.state;
    const next = change(before);
    if (same(before, next)) return;
    const now = performance.now();
    const state = deepFreeze(next);
    const follows = coalesce !== null && coalesce === this.#last.coalesce && now - this.#last.at < COALESCE_MS;
    if (follows && !this.canRedo && this.canUndo) {
      this.#entries = this.#entries.with(this.#index, { ...this.#entries[this.#index], label, state });
    } else {
      this.#entries = [...this.#entries.slice(0, this.#index + 1), { label, state, thumb: null }].slice(-MOST_ENTRIES);
      this.#index = this.#entries.length - 1;
    }
    this.#last = { coalesce, at: now };
    this.#tell("change", { state, before, label });
  }

  undo() {
    if (this.canUndo) this.jump(this.#index - 1);
  }

  redo() {
    if (this.canRedo) this.jump(this.#index + 1);
  }

  jump(index) {
    if (index === this.#index || !this.#entries[index]) return;
    const before = this.state;
    this.#index = index;
    this.#last = { coalesce: null, at: 0 };
    const { state, label } = this.#entries[index];
    this.#tell("change", { state, before, label });
  }

  // Begins anew, without a way back.
  reset() {
    const before = this.state;
    this.#entries = [{ label: "", state: EMPTY, thumb: null }];
    this.#index = 0;
    this.#last = { coalesce: null, at: 0 };
    this.#tell("change", { state: EMPTY, before, label: "" });
  }

  // A small picture of the present state.
  setThumb(url) {
    this.#entries = this.#entries.with(this.#index, { ...this.#entries[this.#index], thumb: url });
    this.#tell("entries", {});
  }

  announce(detail) {
    this.#tell("result", detail);
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
