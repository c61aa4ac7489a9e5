// What of a state comes from the photographs themselves: how much of their detail, whose hair, glasses and background,
// and what the face is put onto. Without a photograph there is none of it, and the picture is the model's own.

export const TRAITS = ["hair", "glasses", "background"];
export const USUAL_COLOUR = "#e8e4da";

// Whether detail is carried into the picture of a state.
export const carries = ({ parents, edits }) => edits.detail > 0 && parents.some(hasPhoto);

export const hasPhoto = (parent) => parent?.kind === "photo";

// What the picture is drawn from before anything is carried into it.
export function plainEdits({ detail, keep, placement, ...plain }) {
  return plain;
}

// What the face is put onto, null for nothing.
export function placementOf({ parents, edits: { placement } }) {
  return placement === null || placement.onto === "plain" || hasPhoto(parents[placement.parent]) ? placement : null;
}

// The members of a request, and of a recipe, by which detail is carried; none where there is nothing to carry.
export function carried(state) {
  if (!carries(state)) return {};
  const { detail, keep } = state.edits;
  return { detail, ...(Object.keys(keep).length > 0 ? { keep } : {}) };
}

// What the recipe says of all this.
export function inRecipe(state) {
  const { detail, keep } = { detail: 0, keep: {}, ...carried(state) };
  return { detail, keep, size: null, placement: placementOf(state) };
}

// keep and placement when the parents stand elsewhere. place(index): where a parent stands now, -1 if it is gone.
export function movedTo(place, { keep, placement, ...edits }) {
  const moved = Object.entries(keep).map(([trait, whose]) => [trait, whose === "mixed" ? whose : place(whose)]);
  const onto = placement === null || placement.onto === "plain" ? placement : { ...placement, parent: place(placement.parent) };
  return {
    ...edits,
    keep: Object.fromEntries(moved.filter(([, whose]) => whose !== -1)),
    placement: onto?.parent === -1 ? null : onto,
  };
}
