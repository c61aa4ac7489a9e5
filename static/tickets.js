// Photos on their way to the rail, and which place everything there has.

import { text } from "./strings.js";

// An upload: the place it is for, and the parent that it replaces (its key), if any.
export class Ticket {
  constructor(file, placed, cell, key) {
    Object.assign(this, { file, placed, cell, key });
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
  const cells = Array.from({ length: count }, () => ({ parent: null, ticket: null }));
  const first = parents.length === 1 && parents[0].key === lone ? 1 : 0;
  parents.slice(0, count).forEach((parent, index) => { cells[first + index].parent = parent; });
  const free = ({ parent, ticket }) => parent === null && ticket === null;
  for (const ticket of tickets) {
    let cell = cells.findIndex(({ parent }) => parent !== null && parent.key === ticket.key);
    if (cell < 0) {
      ticket.key = null; // what it was to replace has gone
      // A gap is left between the first two places only.
      cell = ticket.cell < 2 && free(cells[ticket.cell]) ? ticket.cell : cells.findIndex(free);
    }
    if (cell < 0) continue;
    ticket.cell = cell;
    cells[cell].ticket = ticket;
  }
  return cells;
}
