// Every sentence that the scripts show. The server's own messages arrive ready to be shown.

const name = (letter) => letter.toUpperCase();

export const text = {
  looking: (letter) => `Looking for faces in photo ${name(letter)} ...`,
  mixing: "Mixing ...",
  ready: "Ready: drag the slider, or use the arrow keys.",
  needOne: (letter) => `Now a face for ${name(letter)}.`,
  needBoth: "",
  removed: (letter) => `Face ${name(letter)} removed.`,
  swapped: "The faces have changed places.",
  downloading: "Drawing the picture at full quality ...",
  downloaded: (file) => `Saved as ${file}.`,
  busy: (seconds) => `The server is busy; trying again in ${seconds} s ...`,
  refused: (letter) => `Photo ${name(letter)} cannot be used; see the note there.`,
  share: (percent) => `${100 - percent} % A, ${percent} % B`,
  valuetext: (percent) => `${percent} % B`,
  picture: (percent) => `The mix: ${100 - percent} % A, ${percent} % B`,
  noPicture: "No mix yet",
  play: "Play",
  pause: "Pause",
  oneFace: "One face found.",
  manyFaces: (count, number) => `${count} faces found; number ${number} is used. Choose another:`,
  chooseFace: (number) => `Use face ${number}`,
  sample: (number) => `Sample face ${number}, drawn by the model.`,
  photoOf: (letter, file) => `Photo ${name(letter)}: ${file}`,
  defect: "Something went wrong on this page. Reload it and try again.",
  kept: "The face that was here before is kept.",
};

export const problems = {
  tooLarge: (file, bytes, most) => ({
    title: "The file is too large",
    detail: `The file ${file} has ${(bytes / 1048576).toFixed(1)} MB; at most ${(most / 1048576).toFixed(0)} MB are taken.`,
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
