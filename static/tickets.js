// Photos on their way to the rail, and which place everything there has.

import { LETTERS } from "./state.js";
import { text } from "./strings.js";

// An upload: the place it is for, and the parent that it replaces (its key), if any.
export class Ticket {
  constructor(file, placed, cell, key) {
    Object.assign(this, { file, placed, cell, key });
    this.later = new Set(); // keys of parents whose place is behind it
    this.controller = new AbortController();
    this.says = text.waitingToSend;
    this.share = 0; // of the bytes; null while it is not known
    this.problem = null;
    this.photo = null; // what was found, where no face of it can be mixed
    this.placeable = false; // whether eyes and mouth may be placed by hand
  }
}

// Whether a place holds a photo that cannot be used, and no face.
export const refused = ({ parent, ticket }) => parent === null && ticket !== null && ticket.problem !== null;

// What is in each of `count` places: { parent, ticket }, both null where it is free. Notes in the tickets where they are.
//
// lone: key of the only parent, if it was put into the second place.
export function arrange(count, parents, lone, tickets) {
  const items = parents.map((parent) => ({ parent, ticket: null }));
  for (const ticket of tickets.toSorted((one, other) => one.cell - other.cell)) {
    const replaced = items.find(({ parent }) => parent !== null && parent.key === ticket.key);
    if (replaced) {
      replaced.ticket = ticket;
    } else {
      ticket.key = null; // what it was to replace has gone
      const next = items.findIndex(({ parent }) => parent !== null && ticket.later.has(parent.key));
      items.splice(next < 0 ? items.length : next, 0, { parent: null, ticket });
    }
  }
  // One alone may stand in the second place; no other gap is left.
  const second = items.length === 1 && (items[0].parent ? items[0].parent.key === lone : items[0].ticket.cell === 1);
  const cells = Array.from({ length: count }, (_, cell) => items[second ? cell - 1 : cell] ?? { parent: null, ticket: null });
  cells.forEach(({ ticket }, cell) => { if (ticket !== null) ticket.cell = cell; });
  return cells;
}

// The letter of each place. A face has the one that its place among the faces gives it, everywhere on the page; what comes
// behind the last face has those that follow. A refused photo has none (null), nor has one on its way between faces: the
// letters before and behind it are taken.
//
// lone: as above; the only face is B in the second place.
export function lettersIn(cells, lone) {
  const faces = cells.flatMap(({ parent }, cell) => (parent === null ? [] : [cell]));
  const second = faces.length === 1 && faces[0] === 1 && cells[1].parent.key === lone && !refused(cells[0]);
  const last = second ? -1 : faces.at(-1) ?? -1;
  const named = cells.flatMap((place, cell) => (place.parent !== null || (cell > last && !refused(place)) ? [cell] : []));
  return cells.map((_, cell) => (named.includes(cell) ? LETTERS[named.indexOf(cell)] : null));
}
