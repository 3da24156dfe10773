# SPDX-License-Identifier: Apache-2.0
"""Takes the pictures of the served page in docs/serving, in a browser without a window.

    pytorchvideo serve --run RUN --port 7860 &
    python docs/make_screenshots.py http://127.0.0.1:7860 clip.mp4 --chromium /usr/bin/chromium

It needs Chromium, and ``pip install playwright pillow``. The page is opened at the widths of a phone, a tablet and a
desk, in light and in dark; a video is uploaded, an example clicked where there are any, a clip recorded from a camera
that Chromium makes up, and a file uploaded that is no video. Whatever does not come ends it with an error.
"""

import argparse
import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

PICTURES = Path(__file__).parent / "serving"
WIDTHS = (390, 820, 1440)
_CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
_WAIT_MS = 120_000


def open_page(browser: Browser, url: str, width: int, scheme: str) -> Page:
    """Opens the page in a window of a width; ``scheme`` is "light" or "dark"."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        permissions=["camera", "microphone"],
    )
    page = context.new_page()
    page.set_default_timeout(_WAIT_MS)
    page.goto(f"{url}/?__theme={scheme}")
    page.get_by_role("button", name="What happens here?").wait_for()
    return page


def ask(page: Page, answer: str = ".pv-answer") -> None:
    """Asks for the video that is there, and waits for the answer."""
    page.get_by_role("button", name="What happens here?").click()
    page.locator(answer).wait_for()
    page.wait_for_timeout(1000)


def upload(page: Page, video: Path) -> None:
    """Gives the page a file."""
    page.locator("input[type=file]").first.set_input_files(str(video))
    page.locator("video").first.wait_for(state="attached")
    page.wait_for_timeout(1000)


def record(page: Page) -> None:
    """Records some seconds from the camera."""
    page.get_by_label("Capture from camera").click()
    page.get_by_text("Click to Access Webcam").click()
    page.get_by_label("start recording").click()
    page.wait_for_timeout(4000)
    page.get_by_label("start recording").click()  # it says "Stop" now
    page.get_by_label("Clear").wait_for()
    page.wait_for_timeout(1000)


def keep(page: Page, name: str) -> None:
    """Writes a picture of all of the page, and holds that nothing is wider than the window."""
    width = page.viewport_size["width"] if page.viewport_size else 0
    wide = page.evaluate("document.documentElement.scrollWidth")
    if wide > width:
        raise RuntimeError(f"The page is {wide} pixels wide in a window of {width}.")
    with Image.open(io.BytesIO(page.screenshot(full_page=True))) as picture:
        picture.convert("RGB").save(PICTURES / f"{name}.webp", quality=80, method=6)


def main() -> None:
    """Takes all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("url")
    parser.add_argument("video", type=Path)
    parser.add_argument("--chromium", default=None, help="its program; by default Playwright's own")
    given = parser.parse_args()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(
            executable_path=given.chromium, args=[*_CAMERA, "--no-sandbox"]
        )
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                page = open_page(browser, given.url, width, scheme)
                upload(page, given.video)
                ask(page)
                keep(page, f"{width}-{scheme}")
                page.context.close()
        page = open_page(browser, given.url, 820, "light")
        record(page)
        ask(page)
        keep(page, "camera")
        page.context.close()
        bad = Path(folder) / "notes.mp4"
        bad.write_text("no video")
        page = open_page(browser, given.url, 820, "light")
        upload(page, bad)
        ask(page, ".pv-error")
        keep(page, "error")
        browser.close()


if __name__ == "__main__":
    main()
