// On narrow screens the tools lie below the picture: while it is out of sight, a small copy of it stays in the
// corner, where it covers nothing but a tool that changes it.

export function follow(picture) {
  const mini = document.getElementById("mini");
  const context = mini.getContext("2d");
  context.imageSmoothingQuality = "high";
  const [above, below] = [new Set(), new Set()]; // tools that reach above it, and down to the window's edge
  let away = false;
  const draw = () => {
    mini.hidden = !(away && [...above].some((tool) => below.has(tool)) && picture.filled);
    if (!mini.hidden) context.drawImage(picture.canvas, 0, 0, mini.width, mini.height);
  };
  picture.addEventListener("drawn", draw);
  // Only above: who has not come to the picture yet does not miss it.
  new IntersectionObserver(([entry]) => {
    away = !entry.isIntersecting && entry.boundingClientRect.bottom < 0;
    draw();
  }).observe(picture.canvas);
  const tools = ["adjust", "regions"].map((name) => document.getElementById(`panel-${name}`));
  for (const [reached, rootMargin] of [[above, "0px 0px -96px 0px"], [below, "-99% 0px 0px 0px"]]) {
    const observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) reached[isIntersecting ? "add" : "delete"](target);
      draw();
    }, { rootMargin });
    for (const tool of tools) observer.observe(tool);
  }
}
