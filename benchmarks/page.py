"""A job's page in a browser: one with 100,000 faces against one with a thousand. Time until the first faces are shown,
the longest wait for a frame while it is scrolled, and how many elements the document has then.

python -m benchmarks.page [--quick] [--json]

The API is served as it is shipped, on a real database; the browser is Debian's Chromium, without a screen, so that the
processor draws as well. Faces have no crops here: what is measured is the page, not the loading of pictures.
"""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import psycopg
from playwright.sync_api import Page, sync_playwright

from benchmarks.export import fill
from benchmarks.measure import Row, arguments, by_turns, tell
from benchmarks.served import served

CHROMIUM = "/usr/bin/chromium"
MANY, FEW = 100_000, 1_000
PAIRS, QUICK_PAIRS = 9, 3
SCREENS = 60  # scrolled to the end of what is there so often, before the frames are looked at
WAIT_MS = 60_000
# Scrolls up, as a wheel does that is turned without a pause; the milliseconds of the slowest frame of them.
SLOWEST_FRAME = """() => new Promise(done => {
    let last = performance.now(), slowest = 0, left = 120;
    const frame = now => {
        slowest = Math.max(slowest, now - last);
        last = now;
        window.scrollBy(0, -100);
        if (left-- > 0) requestAnimationFrame(frame); else done(slowest);
    };
    requestAnimationFrame(frame);
})"""


def main() -> None:
    """Put both jobs there, and look at them by turns."""
    asked = arguments(__doc__)
    with TemporaryDirectory() as folder, served(Path(folder)) as system, sync_playwright() as playwright:
        with psycopg.connect(system.database.replace("+psycopg", "")) as connection:
            jobs = {faces: fill(connection, faces) for faces in (MANY, FEW)}
            connection.commit()
            connection.autocommit = True
            connection.execute("vacuum analyze")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with closing(browser):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(WAIT_MS)
            looked = Looked(page, {faces: f"{system.url}/#/jobs/{job}" for faces, job in jobs.items()})
            rows = [looked.opened(QUICK_PAIRS if asked.quick else PAIRS), looked.scrolled()]
    tell(rows, asked.json, ("playwright",))


class Looked:
    """What somebody meets who looks at the pages of two jobs."""

    def __init__(self, page: Page, pages: dict[int, str]) -> None:
        self._page = page
        self._pages = pages

    def opened(self, pairs: int) -> Row:
        """From the click until the first faces are in the document."""
        found = by_turns(lambda: self._open(MANY), lambda: self._open(FEW), pairs)
        many, few = f"{found.ours_seconds * 1000:.0f} ms", f"{found.peer_seconds * 1000:.0f} ms"
        return self._row("page opened until faces are shown", many, few, found.ratio, found.low, found.high)

    def _open(self, faces: int) -> float:
        self._page.goto("about:blank")
        began = perf_counter()
        self._page.goto(self._pages[faces])
        self._page.locator(".card").first.wait_for()
        return perf_counter() - began

    def scrolled(self) -> Row:
        """The slowest of the frames, once the small job is there as a whole, and more than that of the large one."""
        slowest, elements = {}, {}
        for faces in (MANY, FEW):
            self._open(faces)
            for _ in range(SCREENS):
                self._page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
                self._page.wait_for_timeout(100)
            slowest[faces] = [self._page.evaluate(SLOWEST_FRAME) for _ in range(5)]
            elements[faces] = self._page.locator("*").count()
        many, few = median(slowest[MANY]), median(slowest[FEW])
        ratios = [small / large for small, large in zip(slowest[FEW], slowest[MANY], strict=True)]
        found = self._row(
            "slowest frame of two seconds' scrolling", f"{many:.0f} ms", f"{few:.0f} ms", median(ratios), min(ratios),
            max(ratios),
        )  # fmt: skip
        return replace(found, note=f"{elements[MANY]:,} elements in the document, {elements[FEW]:,} there")

    def _row(self, what: str, ours: str, peer: str, value: float, low: float, high: float) -> Row:
        return Row("page", f"{what}, {MANY:,} faces", f"{FEW:,} faces", ours, peer, value, low, high)


if __name__ == "__main__":
    main()
