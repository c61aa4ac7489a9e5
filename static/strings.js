// Every sentence that the scripts show. The server's own messages arrive ready to be shown.

const megabytes = (bytes) => (bytes / 1048576).toFixed(1);
export const percent = (weight) => String(Math.round(weight * 1000) / 10);
const part = (weight) => `${percent(weight)} %`;
const whole = (weight) => `${Math.round(weight * 100)} %`;
const shares = (letters, weights) => letters.map((letter, index) => `${whole(weights[index])} ${letter}`).join(", ");

const spelled = (count) => ["No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight"][count] ?? String(count);

export const text = {
  waitingToSend: "Waiting to be sent",
  sending: (sent, all) => `Sending ${megabytes(sent)} of ${megabytes(all)} MB`,
  looking: "Looking for faces",
  lookingIn: (letter) => `Looking for faces in ${letter === null ? "a photo" : `photo ${letter}`} ...`,
  sendingAgain: "Sending a photo again that the server no longer keeps ...",
  mixing: "Mixing ...",
  sharpening: "Adding the photographs' detail ...",
  drawnOwn: "The model's own picture",
  drawnSharp: "With the photographs' detail",
  ready: (letters) => ({
    1: `Ready: face ${letters[0]} as you have changed it.`, 2: "Ready: drag the slider. Hold A or B to see that face.",
  })[letters.length] ?? "Ready: drag the handle. Hold a letter to see that face.",
  firstIn: (letter) => `Face ${letter} is in its place.`,
  invite: (drops) => (drops ? "Drop photos here, or" : "Begin with two photos"),
  inviteOne: (letter) => `Now a face for ${letter}:`,
  removed: (letter) => `Face ${letter} removed.`,
  swapped: "The faces have changed places.",
  downloading: "Drawing the picture at full quality ...",
  downloaded: (file) => `Saved as ${file}.`,
  busy: (seconds) => `The server is busy; trying again in ${seconds} s ...`,
  refused: (file) => `${file ? `The photo ${file}` : "What was given"} cannot be used; see the note there.`,
  refusedFor: (letter) => `The new photo for face ${letter} cannot be used; see the note there.`,
  cancelled: "Cancelled.",
  stands: "See how it stands",
  invitesNobody: "Mixing is switched off for now",
  switchedOff: "Mixing is switched off; nothing is wrong with your photos. This page works again by itself once it is back.",
  switchedOn: "Mixing is back.",
  notSent: "No photo was sent. Sample faces need no consent.",
  full: (most) => `${spelled(most)} faces are the most. Remove or replace one first.`,
  notTaken: (count, most) =>
    `${count === 1 ? "One photo was" : `${count} photos were`} not taken: ${spelled(most).toLowerCase()} faces are the most.`,
  allLocked: "Every weight is locked. Unlock two to move them.",
  oneUnlocked: "Only one weight is not locked. Unlock another to move them.",
  share: (letters, weights) => shares(letters, weights),
  valuetext: (weight) => `${whole(weight)} B`,
  picture: (letters, weights) => `The mix: ${shares(letters, weights)}`,
  noPicture: "No mix yet",
  play: "Play",
  pause: "Pause",
  faceFree: (letter) => ({ A: "First face", B: "Second face" })[letter] ?? `Face ${letter}`,
  noFace: "No face",
  faceOf: (letter) => `Face ${letter}: `,
  photoFor: (letter) => (letter === null ? "Photo" : `Photo for face ${letter}`),
  forFace: (letter) => (letter === null ? "" : ` for face ${letter}`),
  moreFor: (letter) => `More for face ${letter}`,
  weightOf: (letter) => `Weight of face ${letter} in percent`,
  replace: (letter) => `Replace face ${letter} with a photo`,
  crop: (letter, name) => `Face ${letter}: ${name}`,
  which: (number, count) => `${number} of ${count}`,
  pickAnother: (letter, number, count) => `Face ${letter} is number ${number} of ${count} in its photo; pick another`,
  sample: (number) => `Sample ${number}`,
  saved: "A saved result",
  replayed: (letter) => `Face ${letter} of a saved result`,
  good: "Clear photo",
  byHand: "Placed by hand",
  warnings: {
    face_small: "Small", face_blurred: "Soft", face_turned: "Turned", face_dark: "Dark", other: "See note",
  },
  lock: (letter) => `Lock the weight of face ${letter}`,
  unlock: (letter) => `Unlock the weight of face ${letter}`,
  dismiss: "Dismiss",
  placeByHand: "Place eyes and mouth by hand",
  chooseAnother: "Choose another photo",
  defect: "Something went wrong on this page. Reload it and try again.",
  kept: "The face that was here before is kept.",
  noPasted: "There is no picture in the clipboard. Copy one first, or press Ctrl+V.",
  noClipboard: "This browser does not let the page read the clipboard. Press Ctrl+V instead.",
  startOver: "Start over",
  startOverSure: "Really clear everything?",
  startedOver: "Everything is cleared.",
  opening: "Opening the saved recipe ...",
  openingPicture: "Fetching the saved picture ...",
  savedPicture: "saved face.png",
  opened: "The saved recipe is open.",
  undone: (label) => (label ? `Undone: ${label}.` : "Undone."),
  redone: (label) => (label ? `Done again: ${label}.` : "Done again."),
};

// What a step of the session is called.
export const steps = {
  start: "Beginning",
  added: (letter) => `Face ${letter} added`,
  removed: (letter) => `Face ${letter} removed`,
  replaced: (letter) => `Face ${letter} replaced`,
  picked: (letter) => `Another face for ${letter}`,
  placed: (letter) => `Face ${letter} placed by hand`,
  weights: "Weights",
  locked: (letter) => `Face ${letter} locked`,
  unlocked: (letter) => `Face ${letter} unlocked`,
  even: "Even shares",
  random: "Random shares",
  swapped: "Faces swapped",
  opened: "Saved recipe opened",
  goTo: (number, label) => `Step ${number}: ${label}`,
};

export const pad = {
  role: "pad",
  label: "Where the mix lies between the faces",
  description: "Arrow keys move it, 1 to 8 jump towards a face, Home goes to the middle.",
};

export const compare = {
  share: (weight) => part(weight),
  hold: (letter, weight) => `${letter} ${part(weight)}: hold to see this face`,
  beside: (letter, weight) => `${letter} ${part(weight)}: show this face beside the mix`,
  tag: (letter) => letter,
};

export const picking = {
  text: (count) => `${count} faces were found. Pick the one to mix.`,
  face: (number, count) => `Face ${number} of ${count}`,
  current: "in use",
  refused: (title) => `cannot be mixed: ${title}`,
};

export const placing = {
  next: {
    left_eye: "Click the middle of the eye on the left side of the picture.",
    right_eye: "Now the eye on the right side of the picture.",
    mouth: "Now the middle of the mouth.",
  },
  correct: "Drag a point to correct it.",
  keys: "Tab chooses a point, arrow keys move it.",
  point: { left_eye: "Left eye", right_eye: "Right eye", mouth: "Mouth" },
  at: (name, x, y) => `${name}, at ${Math.round(x)}, ${Math.round(y)}`,
  keyboard: "With the keyboard: press Enter to set the points down in the middle, then move them.",
  undrawable: "This browser cannot draw this kind of photo. Save it as JPEG first.",
};

export const camera = {
  asking: "Allow the camera when your browser asks.",
  ready: "Look into the camera. The picture stays on this device until you take it.",
  shoot: "Take it in 3 seconds",
  stop: "Stop",
  counting: (seconds) => `${seconds} ...`,
  absent: "No camera was found on this device.",
  denied: "This page may not use the camera. Allow it in the browser's settings, or choose a photo.",
  insecure: "Browsers give a camera only to pages over https. Choose a photo instead.",
  busy: "The camera is in use by another program.",
  file: "camera.jpg",
};

export const theme = { light: "Change to light colours", dark: "Change to dark colours" };

export const shortcuts = [
  ["?", "This sheet"],
  ["Ctrl Z", "Undo"],
  ["Ctrl Shift Z", "Redo"],
  ["Ctrl V", "Paste a photo"],
  ["Hold A to H", "See that face"],
  ["V", "Side by side on and off"],
  ["X", "Swap two faces"],
  ["P", "Play and pause"],
  ["0", "Even shares"],
  ["R", "Random shares"],
  ["Arrow keys", "Move the slider or the handle (with Shift: further)"],
  ["1 to 8", "On the pad: jump towards that face"],
  ["Home", "On the pad: to the middle"],
];

export const problems = {
  tooLarge: (file, bytes, most) => ({
    title: "The file is too large",
    detail: `The file ${file} has ${megabytes(bytes)} MB; at most ${(most / 1048576).toFixed(0)} MB are taken.`,
    hint: "Save it smaller, or as JPEG; a few megapixels are plenty.",
  }),
  empty: (file) => ({
    title: "The file is empty",
    detail: `The file ${file} holds no bytes.`,
    hint: "Choose the photo again, or another one.",
  }),
  unreachable: {
    title: "The server cannot be reached",
    detail: "No answer came.",
    hint: "Check the connection and try again.",
  },
  slow: {
    title: "The server took too long",
    detail: "No answer came within two minutes.",
    hint: "Try again, or use smaller photos.",
  },
  unreadable: (status) => ({
    title: "The answer cannot be read",
    detail: `The server answered with status ${status} and nothing this page understands.`,
    hint: "Try again; if it happens again, tell whoever runs this server.",
  }),
  gone: (file) => ({
    title: "The photo cannot be read any more",
    detail: `The file ${file} has been moved, changed or deleted.`,
    hint: "Choose it again.",
  }),
  noRecipe: {
    title: "There is no such recipe",
    detail: "The link does not name a saved recipe.",
    hint: "Check that it was copied as a whole.",
  },
  modelGone: (model) => ({
    title: "The model has changed",
    detail: `This recipe was made with a version of ${model} that this server no longer runs.`,
    hint: "Its page still shows the saved picture, and offers it as a face for this model.",
  }),
  tooMany: (count, most) => ({
    title: "There are too many faces",
    detail: `This recipe has ${count} faces; the page shows at most ${most}.`,
    hint: "The command line replays it.",
  }),
  noPicture: {
    title: "That is not a file",
    detail: "What was dropped holds no picture file.",
    hint: "Save the picture to your device first, then drop the file.",
  },
};

// A server's message starts in lower case and ends without a full stop.
export function sentence(message) {
  const trimmed = (message || "").trim();
  if (!trimmed) return "";
  const end = /[.!?]$/.test(trimmed) ? "" : ".";
  return trimmed[0].toUpperCase() + trimmed.slice(1) + end;
}
