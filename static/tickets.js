// Photos on their way to the rail, and which place everything there has.

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
