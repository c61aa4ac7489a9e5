// Every sentence that the panels show. The server's own messages arrive ready to be shown.

export const percentOf = (share) => `${Math.round(share * 100)} %`;
const two = (number) => String(Number(number.toPrecision(2)));
const signed = (value) => `${value > 0 ? "+" : "−"}${Math.abs(value).toFixed(1)}`;
const isShare = (unit) => unit.startsWith("of "); // "of the mouth"
const speaks = (unit) => Boolean(unit) && (isShare(unit) || ["years", "degrees", "percent", "%"].includes(unit));
const amountOf = (step, unit, value) => {
  const amount = Math.abs(value * step);
  return `about ${isShare(unit) ? percentOf(amount) : two(amount)} ${unit}`;
};
const PLACES = { eyes: "eyes", nose: "nose", mouth: "mouth", skin: "skin", hair: "hair", frame: "surroundings" };
const strongest = (regions) =>
  PLACES[Object.entries(regions).reduce((best, one) => (one[1] > best[1] ? one : best))[0]];
const shares = (letters, weights) =>
  letters.flatMap((letter, index) => (weights[index] > 0 ? [`${percentOf(weights[index])} ${letter}`] : [])).join(", ");

export const parts = {
  reset: (title) => `Reset: ${title}`,
  unchanged: "unchanged",
  copied: (what) => `Copied: ${what}.`,
  busy: "The last one is not finished yet.",
  copy: "Copy",
  copiedShort: "Copied",
  copyOf: (what) => `Copy: ${what}`,
  notCopied: "This browser did not allow copying. Mark the text and press Ctrl+C.",
};

export const adjust = {
  loading: "Loading the attributes ...",
  needFace: "Give a face first; then every slider shows at once what it does.",
  needTwo: "With one face there is no path, and nothing is evened out that vividness could give back.",
  noDirections: "This model has no attribute directions, so there is nothing to adjust here.",
  resetAll: "Attributes reset",
  allReset: "All attributes are reset.",
  inWords: "Attributes in words",
  reading: "Reading the words ...",
  read: (known, unknown) => `${known} understood${unknown ? `, ${unknown} not` : ""}.`,
  term: (word, moved) => `${word}: ${moved}`,
  moved: (title, words) => (words ? `${title}, ${words}` : title),
  vividness: "Vividness",
  vividnessText: {
    lerp: "Gives back some of the character that mixing evens out.",
    slerp: "On a round path nothing is evened out that vividness could give back.",
  },
  detail: "Detail of the photographs",
  detailText: (detail) => (detail > 0
    ? "What the model cannot draw, as pores and single hairs, comes from the photographs when the picture rests."
    : "The picture is the model's own; nothing of the photographs is in it but what the model has understood."),
  needPhotos: "Without a photograph there is no detail to carry; the picture is the model's own.",
  path: { lerp: "Straight path", slerp: "Round path" },
  seed: "Seed",
  seeded: (seed) => `The seed is ${seed}.`,

  // How far a slider has moved the face: "older, about 22 years", or where the unit says little "brighter, +1.0".
  words({ low, high, step, unit }, value) {
    if (value === 0) return "";
    const end = value > 0 ? high : low;
    return step && speaks(unit) ? `${end}, ${amountOf(step, unit, value)}` : `${end}, ${signed(value)}`;
  },

  // The same as it was measured, where the words leave it out: "about 0.0092 eye distances".
  measured: ({ step, unit }, value) => (value !== 0 && step && unit && !speaks(unit) ? amountOf(step, unit, value) : ""),
};

export const regions = {
  loading: "Loading the regions ...",
  needFaces: "Give two faces first; then every part of the face can follow its own.",
  choose: "Choose a part of the face.",
  whole: "Follows the whole",
  all: (letter) => `All ${letter}`,
  from: (what, letter) => `${what}: all from ${letter}`,
  of: (what, letter) => `${what}: share of ${letter}`,
  reset: (what) => `${what}: follows the whole`,
  shares,
  step: (title) => `Region: ${title}`,
  colour: "Colour",
  preset: (shape, colour) => `Shape from ${shape}, colour from ${colour}`,
  presetShort: (shape, colour) => `Shape ${shape}, colour ${colour}`,
  button: (title, words) => (words ? `${title}: ${words}` : title),
  allStep: "Regions reset",
  allReset: "Every part of the face follows the whole again.",
};

export const whole = {
  title: { hair: "Hair", glasses: "Glasses", background: "Background" },
  automatic: "Automatic",
  mixed: "Mixed",
  step: (title, whose) => `${title}: ${whose}`,
  about: "Automatic takes the outlines of hair and background from one face, the heavier, and leaves glasses to whoever alone wears them.",
  needDetail: "Needs photographs, and some of their detail (see Adjust).",
  needFaces: "Give two photographs first.",
};

export const explore = {
  person: (number) => `Add random person ${number}`,
  use: "Add to the faces",
  added: (letter) => `Face ${letter} added.`,
  addedStep: (letter) => `Face ${letter} added`,
  personName: (number) => `Person ${number}`,
  full: "Eight faces are the most. Remove one first.",
  drawing: "Drawing ...",
  drawn: (count) => `${count} faces drawn. Click one to take it.`,
  surprise: "Surprise",
  surprised: (letters, weights, attributes) =>
    `${shares(letters, weights)}${attributes.length ? `; ${attributes.join("; ")}` : ""}.`,
  radius: "How far away",
  variation: "Variation",
  variationOf: (number, radius) => `Variation ${number}, ${percentOf(radius)} away`,
  variationOff: "Variation removed",
  cell: (letters, weights) => shares(letters, weights),
  taken: (words) => `Taken: ${words}.`,
  gridStep: "From the grid",
  needs: {
    weights: "Needs two faces.",
    pairs: "Needs three faces; with two there is one pair.",
    corners: "Needs exactly four faces, one for each corner.",
    variations: "Needs a face.",
  },
  sheet: { variations: "Variations of the face", grid: "Grid of mixes" },
  saved: (file) => `Saved as ${file}.`,
  failedPicture: "This face could not be drawn.",
  kept: {
    unnamed: "A saved face",
    use: (name) => `Add to the faces: ${name}`,
    asking: "Looking for the saved face ...",
    gone: "This face is not on the server any more.",
    other: (model) => ({
      title: "This face belongs to another model",
      detail: `It was made with ${model}, which is not in use now`,
      hint: "Its picture can be used as a face from the gallery",
    }),
    more: (count) => `All ${count} are in the gallery`,
  },
};

export const animate = {
  stop: (number) => `Stop ${number}`,
  earlier: (number) => `Move stop ${number} earlier`,
  later: (number) => `Move stop ${number} later`,
  remove: (number) => `Remove stop ${number}`,
  show: (number) => `Show stop ${number} in the studio`,
  added: (count) => `Stop ${count} added.`,
  removed: (number) => `Stop ${number} removed.`,
  moved: (from, to) => `Stop ${from} is now number ${to}.`,
  shown: "Stop shown",
  full: (most) => `${most} stops are the most.`,
  tooDifferent: (count, most) => ({
    title: "These stops are too different",
    detail: `They differ in more than shares and attributes, so that each of the ${count} counts as a face of its own; `
      + `${most} are the most.`,
    hint: "Remove some of them.",
  }),
  needTwo: "Add two stops or more, or begin with the quick start.",
  needFaces: "Give two faces first, or adjust one.",
  sending: "Asking for the animation ...",
  queued: "Waiting for its turn ...",
  running: (done, total) => `Drawing frame ${done} of ${total} ...`,
  fetching: "Fetching the animation ...",
  done: (kind, bytes) => `Done: ${kind}, ${(bytes / 1048576).toFixed(bytes < 104858 ? 2 : 1)} MB.`,
  cancelled: "The animation was cancelled.",
  ended: "The animation was cancelled on the server.",
  preview: "The animation",
  fromTo: (first, last) => `From ${first} to ${last} and back`,
};

export const save = {
  drawing: "Drawing the picture at full quality ...",
  saved: (file) => `Saved as ${file}.`,
  copying: "Drawing the picture to copy it ...",
  copiedPicture: "The picture is in the clipboard.",
  cannotCopy: "This browser cannot copy pictures from this page. Download it instead.",
  writing: "Writing the recipe ...",
  needFaces: "Give two faces first, or adjust one.",
  held: "There are no commands for a result that a person looks at first.",
  preparing: "The commands appear as soon as the mix is drawn.",
  line: { curl: "the curl line", python: "the Python snippet", cli: "the command" },
  withPhotos: (files) => (files.length > 1
    ? `Run it where these photos lie: ${files.join(", ")}. Without the files, tick the box.`
    : `Run it where this photo lies: ${files[0]}. Without the file, tick the box.`),
  needsRecipe: (own) => `Save the recipe first: the command reads it as recipe.json.${
    own ? " It draws the model's own picture, as a recipe holds nothing of the photographs." : ""}`,
  picture: "the picture",
  linking: "Saving the recipe ...",
  linked: "Saved. The link and the delete link are below.",
  until: (day) => `It works until ${day}.`,
  forEver: "It works until it is deleted.",
  link: "the link",
  deleteLink: "the delete link",
  linkLabel: "Link",
  deleteLabel: "Delete link, shown only now",
  notKept: "This browser keeps no list of what you saved: note both links now.",
  name: (letters) => `Mix of ${letters.join(", ")}`,
};

export const onto = {
  name: {
    crop: () => "The face alone",
    photo: (letter) => `Photograph of ${letter}`,
    blurred: (letter) => `Photograph of ${letter}, blurred`,
    plain: () => "A plain colour",
  },
  step: (what) => `Put onto: ${what}`,
  alone: "Downloads show the face as it is above.",
  placed: "Downloads are put onto it; the picture above stays the face.",
};

export const why = {
  needFace: "Give a face first.",
  about: "Draws the face again without each parent and each change, and looks for the training faces nearest to it.",
  explaining: "Drawing the face without each of its parts ...",
  changed: "The face has changed meanwhile. Explain it again.",
  explained: ({ parents, closeness }) => `${parents.map(({ name, influence }) => `${name} drew ${percentOf(influence)}`).join(", ")}.`
    + `${closeness?.alarm ? " It is as near to a training photograph as copies are." : ""}`,
  regions: { eyes: "Eyes and brows", nose: "Nose", mouth: "Mouth", skin: "Skin", hair: "Hair", frame: "Surroundings" },
  mapOf: ({ name, influence }) => `Heat map of face ${name}, which drew ${percentOf(influence)}; the table below has its shares`,
  drew: ({ influence, weight }) => `drew ${percentOf(influence)}, at a weight of ${percentOf(weight)}`,
  variation: "Variation",
  editMap: (title, { regions }) => `Heat map of ${title}, which moved the ${strongest(regions)} most`,
  moved: (title, { mean, most, regions }) =>
    `${title}: ${mean.toFixed(1)} of 255 levels on average, ${most.toFixed(0)} at most, most of all the ${strongest(regions)}`,
  editsText: (left) => `Each picture shows what changes when that one change is left out.${
    left.length > 0 ? ` Not looked at: ${left.join(", ")}.` : ""}`,
  noIndex: "This model came without an index of its training faces, so nothing can be said about them.",
  nearCaption: (faces) => `The nearest of ${faces} training photographs`,
  nearHeads: ["", "Distance", "Nearer pairs", "SHA-256 begins"],
  degrees: (angle) => `${angle.toFixed(0)}°`,
  nearer: (percentile) => `${percentile < 1 ? "under 1" : percentile.toFixed(0)} %`,
  neighbour: (number) => `Training face ${number}`,
  nearText: ({ limit, typical }) => `Distances are angles between the faces' numbers: 0° is the same face, 90° has nothing in common. From one training `
    + `face to its nearest other one it is typically ${typical["50"].toFixed(0)}° (${typical["5"].toFixed(0)}° to ${typical["95"].toFixed(0)}° for 90 in 100); `
    + `below ${limit.toFixed(0)}° counts as a copy. "Nearer pairs" says how many training faces have another one nearer than that. `
    + "Near does not mean the same person.",
  file: "explanation.json",
  saved: "Saved as explanation.json.",

  // The record as rows for people.
  record({ at, recipe_sha256: recipe, model, versions, gates, checks, settings }) {
    const reading = ({ name, value, threshold, rule, passed }) =>
      `${name.replaceAll("_", " ")} ${value === null ? "not measured" : Number(value.toPrecision(3))}`
      + `${threshold === null ? "" : ` (${rule} ${threshold})`}${passed === false ? ", not passed" : ""}`;
    const rows = [
      ["when", new Date(at).toLocaleString()],
      ["model", `${model.name}, ${model.data ?? "unknown data"}`],
      ["weights", model.weights_sha256],
      ["recipe", recipe],
      ["computed by", Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ")],
      ...gates.map(({ source, readings }, index) => [
        `gates of face ${String.fromCharCode(65 + index)}`,
        readings.length > 0 ? readings.map(reading).join("; ") : `none looked at it: it came as a ${source}`,
      ]),
    ];
    if (checks.length > 0) rows.push(["checks of the result", checks.map(reading).join("; ")]);
    rows.push(["settings", Object.entries(settings).map(([name, value]) => `${name} ${value}`).join(", ")]);
    return rows;
  },
};

export const dayOf = (moment) => new Date(moment).toLocaleDateString(undefined, { dateStyle: "long" });
