// Photos that are dropped anywhere on the page, or pasted.

import { text } from "./strings.js";

const pictures = (files) => [...files].filter(({ type }) => type.startsWith("image/"));

// take(files): for the next free places; takeNext(files): the same, or for the place that is aimed at.
export function listen({ take, takeNext, takeSample, say }) {
  const page = document.documentElement;
  const carries = ({ dataTransfer }) => [...(dataTransfer?.types ?? [])].includes("Files");
  document.addEventListener("dragover", (event) => {
    event.preventDefault(); // a file dropped beside the zones must not replace the page
    page.classList.toggle("dragging", carries(event));
  });
  document.addEventListener("dragleave", ({ relatedTarget }) => {
    if (relatedTarget === null) page.classList.remove("dragging");
  });
  // Seen on its way down, since a card that takes the file says nothing to those above it.
  document.addEventListener("drop", () => page.classList.remove("dragging"), { capture: true });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    const sample = event.dataTransfer.getData("text/x-facemix-sample");
    if (sample !== "") takeSample(Number(sample));
    else if (event.dataTransfer.files.length > 0) take([...event.dataTransfer.files]);
  });

  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    takeNext(files);
  });

  // The buttons, where the browser lets a page read the clipboard after asking.
  const read = async () => {
    if (!navigator.clipboard?.read) {
      say(text.noClipboard);
      return;
    }
    try {
      const items = await navigator.clipboard.read();
      const files = await Promise.all(items.flatMap((item) =>
        item.types.filter((type) => type.startsWith("image/")).slice(0, 1).map(async (type) =>
          new File([await item.getType(type)], "pasted", { type }))));
      if (pictures(files).length > 0) takeNext(files);
      else say(text.noPasted);
    } catch {
      say(text.noPasted);
    }
  };
  for (const button of document.querySelectorAll("button.paste")) button.addEventListener("click", read);
}
