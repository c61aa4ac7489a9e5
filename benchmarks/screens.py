"""The pictures of the page in the README: `python -m benchmarks.screens`. Needs what the browser tests need.

The portrait on them is scikit-image's, in the public domain; the other faces are sample faces, nobody's photographs.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT / "tests"), str(ROOT / "tests" / "e2e")]  # how the tests start a server and a browser

SAMPLES = (3, 11, 0)
SHARE = 60  # of the portrait, in percent


def main(out: Path = ROOT / "docs" / "pictures") -> None:
    """Draws studio.png (1280 x 860, light) and phone.png (390 x 844, dark)."""
    from browsing import BROWSERS, QUIET, agreed, filled, give, mix_samples, rested
    from files import png
    from playwright.sync_api import sync_playwright
    from portraits import portrait
    from served import serving

    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    with TemporaryDirectory() as folder, serving(Path(folder)) as server, sync_playwright() as playwright:
        photo = Path(folder) / "portrait.png"
        photo.write_bytes(png(portrait()))
        browser = playwright.chromium.launch(executable_path=executable, args=list(QUIET))
        for name, width, height, scheme, samples, tab in (
            ("studio", 1280, 860, "light", SAMPLES[:2], "adjust"),
            ("phone", 390, 844, "dark", SAMPLES, "regions"),
        ):
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=2
            )
            context.add_init_script(agreed())
            page = context.new_page()
            page.goto(server.address)
            page.wait_for_load_state("networkidle")
            give(page, "a", photo)
            filled(page, "a")
            mix_samples(page, *samples)
            field = page.locator(".share-field").first
            field.fill(str(SHARE))
            field.press("Enter")
            rested(page)
            page.click(f"#tab-{tab}")
            page.mouse.move(0, height - 1)
            page.evaluate("window.scrollTo(0, 0)")
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(500)
            page.screenshot(path=out / f"{name}.png")
            print(out / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    typer.run(main)
