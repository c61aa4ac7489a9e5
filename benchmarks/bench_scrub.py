"""What a person waits for in the page: ``python -m benchmarks.bench_scrub`` (headless Chromium by Playwright).

Each repetition opens the page, gives the first photograph and waits until its face is found; then it gives the second
one and measures, inside the page, the time from the change of the file field to the frame of the screen in which the
canvas first holds a face. Then the mouse drags the slider to and fro, and the times between the screen's frames are
noted, and of how many of them the slider had moved. All photographs are unique, so that no cache answers.

There is no GPU behind this browser: it draws in software, on the cores that the server computes on. Without dragging,
the same page's frames are noted too, for comparison.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import photos, record
from benchmarks.agreed import agreed
from benchmarks.outcome import percentile
from benchmarks.servers import running, serving_environment

RESULTS = record.RESULTS / "scrub.json"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
FRAME_MS = 1000 / 60
# A frame comes at whole periods of the screen; its time stamp may be off by a little.
LATE_MS = 1.5 * FRAME_MS
SIDE = 512

# Notes when the file field changes and when the canvas holds something, both on the page's clock. An empty canvas is
# transparent; one pixel in the middle is enough.
_WATCH = """() => {
  const canvas = document.getElementById("result");
  const context = canvas.getContext("2d");
  window.seen = new Promise((done) => {
    document.getElementById("file-b").addEventListener("change", () => {
      const given = performance.now();
      const look = () => {
        if (context.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[3]) {
          done(performance.now() - given);
        } else {
          requestAnimationFrame(look);
        }
      };
      requestAnimationFrame(look);
    }, { once: true, capture: true });
  });
}"""

# Times between frames until `stop` is called, and how often the slider had another value than in the frame before.
_RECORD = """() => {
  const slider = document.getElementById("weight");
  const deltas = [];
  let last = null, value = slider.value, moved = 0, going = true;
  const tick = (now) => {
    if (last !== null) deltas.push(now - last);
    if (slider.value !== value) moved += 1;
    [last, value] = [now, slider.value];
    if (going) requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
  window.stop_recording = () => { going = false; return { deltas, moved }; };
}"""


def browser_path() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def visit(browser: Any, address: str, folder: Path, seconds: float) -> dict[str, Any]:
    """One repetition: what was seen, in milliseconds."""
    files = {}
    for letter, mirrored in (("a", False), ("b", True)):
        files[letter] = folder / f"{letter}.jpg"
        files[letter].write_bytes(photos.unique(photos.portrait(SIDE, mirrored=mirrored), secrets.randbits(60)))
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(60_000)
    try:
        context.add_init_script(agreed())
        page = context.new_page()
        page.goto(address)
        # The page asks for its sample faces first.
        page.wait_for_load_state("networkidle")
        page.set_input_files("#file-a", files["a"])
        page.wait_for_selector(".parent-a .drop.filled")
        page.evaluate(_WATCH)
        page.set_input_files("#file-b", files["b"])
        first = page.evaluate("window.seen")
        page.wait_for_selector("#download:not([disabled])")
        page.evaluate(_RECORD)
        page.wait_for_timeout(500 * seconds)
        resting = page.evaluate("window.stop_recording()")
        page.evaluate(_RECORD)
        drag(page, seconds)
        dragging = page.evaluate("window.stop_recording()")
    finally:
        context.close()
    return {
        "first_blend_ms": first,
        "resting": resting["deltas"],
        "dragging": dragging["deltas"],
        "moved": dragging["moved"],
    }


def drag(page: Any, seconds: float) -> None:
    """Moves the slider to and fro with the mouse."""
    track = page.locator("#weight").bounding_box()
    y, step = track["y"] + track["height"] / 2, 4
    left, width = track["x"] + 0.05 * track["width"], 0.9 * track["width"]
    steps = max(1, int(seconds * 60))
    page.mouse.move(left, y)
    page.mouse.down()
    for number in range(steps):
        along = (number * step / width) % 2
        page.mouse.move(left + width * (along if along <= 1 else 2 - along), y)
    page.mouse.up()


def frames(deltas: list[float]) -> dict[str, Any]:
    """Times between frames, in milliseconds, and the share of frames that came with the screen's next period."""
    ascending = sorted(deltas)
    return {
        "frames": len(ascending),
        "median_ms": percentile(ascending, 50),
        "p95_ms": percentile(ascending, 95),
        "longest_ms": percentile(ascending, 100),
        "in_time": sum(1 for one in ascending if one < LATE_MS) / len(ascending) if ascending else None,
    }


def summary(visits: list[dict[str, Any]]) -> dict[str, Any]:
    first = sorted(one["first_blend_ms"] for one in visits)
    return {
        "repetitions": len(visits),
        "first_blend": {
            "median_ms": median(first),
            "p95_ms": percentile(first, 95),
            "longest_ms": first[-1],
            "all_ms": first,
        },
        "dragging": frames([delta for one in visits for delta in one["dragging"]])
        | {"moved_frames": sum(one["moved"] for one in visits)},
        "resting": frames([delta for one in visits for delta in one["resting"]]),
    }


def measure(repetitions: int, seconds: float) -> dict[str, Any]:
    """Raises SystemExit where there is no Chromium."""
    executable = browser_path()
    if executable is None:
        raise SystemExit(f"none of {', '.join(BROWSERS)} is installed")
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(QUIET))
        with running(environment=serving_environment(Path(folder) / "data")) as server:
            address = f"http://127.0.0.1:{server.port}/"
            visit(browser, address, Path(folder), 0.2)  # the browser's own caches: code, fonts
            visits = [visit(browser, address, Path(folder), seconds) for _ in range(repetitions)]
        version = browser.version
        browser.close()
    return {"browser": f"Chromium {version}, drawing in software", "photo_side": SIDE, **summary(visits)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short repetition; the figures mean nothing")
    parser.add_argument("--repetitions", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=3, help="of dragging in each")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    repetitions, seconds = (1, 0.3) if options.quick else (options.repetitions, options.seconds)
    found = {"machine": record.machine(), "quick": options.quick, **measure(repetitions, seconds)}
    first = found["first_blend"]
    print(f"{found['browser']}; {repetitions} repetitions with photographs of {SIDE} x {SIDE} pixels")
    print(f"second upload to first blend: median {first['median_ms']:.0f} ms, longest {first['longest_ms']:.0f} ms")
    print(record.table([{"frames while": name, **found[name]} for name in ("dragging", "resting")]))
    record.write(options.out, found)


if __name__ == "__main__":
    main()
