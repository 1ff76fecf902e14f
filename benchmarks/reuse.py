"""What it saves that the same bytes are not computed again: sets of photographs, through the whole local system.

python -m benchmarks.reuse [PHOTOGRAPHS]

Four sets of as many photographs go through one after the other: new ones, the same again, other new ones (so that the
second set's time is not that of a warmer system), and one photograph again and again. The time is from sending the
first byte until the job has ended, as a client sees it.
"""

import io
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

import httpx
from PIL import ImageEnhance, ImageOps

from services.local.system import local_system
from services.samples import ASTRONAUT, HOPPER, packaged
from shared.settings import LocalSettings

PHOTOGRAPHS = 60
LONG_SIDE = 640  # pixels
BEGIN_QUALITY = 60  # each photograph has its own quality, brightness and side; so no two have the same bytes
POLL_SECONDS = 0.05
SECONDS = 600


def main() -> None:
    """Print seconds for each set, how many images were reused, and the shares of the first set's time."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else PHOTOGRAPHS
    first, other = photographs(number, 0), photographs(number, number)
    one = photographs(1, 2 * number) * number
    sets = {"new": first, "the same again": first, "other new ones": other, "one, again and again": one}
    with (
        TemporaryDirectory() as home,
        local_system(LocalSettings(home=Path(home))) as system,
        httpx.Client(base_url=system.api_url, timeout=SECONDS) as api,
    ):
        through(api, photographs(1, 2 * number + 1))  # Now all workers have their models loaded.
        seconds: dict[str, float] = {}
        for name, photos in sets.items():
            seconds[name], reused = through(api, photos)
            share = seconds[name] / seconds["new"]
            print(f"{name:22} {number} photographs {seconds[name]:6.1f} s, {share:4.0%} of new, {reused} reused")


def photographs(number: int, begin: int) -> list[bytes]:
    """So many portraits, of which no two have the same bytes."""
    portraits = [packaged(*HOPPER), packaged(*ASTRONAUT)]
    made = []
    for index in range(begin, begin + number):
        image = portraits[index % 2].convert("RGB")
        image.thumbnail((LONG_SIDE, LONG_SIDE))
        if index // 2 % 2:
            image = ImageOps.mirror(image)
        image = ImageEnhance.Brightness(image).enhance(0.7 + 0.002 * index)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=BEGIN_QUALITY + index % 30)
        made.append(buffer.getvalue())
    return made


def through(api: httpx.Client, photos: list[bytes]) -> tuple[float, int]:
    """Submit a set and wait for its end. Returns the seconds it took, and how many images were reused."""
    start = perf_counter()
    files = [("images", (f"{place}.jpg", content, "image/jpeg")) for place, content in enumerate(photos)]
    answer = api.post("/v1/jobs", files=files, data={"captioner": "describer"})
    answer.raise_for_status()
    link = answer.json()["links"]["self"]
    while (status := api.get(link).json())["state"] == "running":
        sleep(POLL_SECONDS)
    took = perf_counter() - start
    if status["counts"]["succeeded"] != len(photos):
        raise SystemExit(f"Not all images have a score: {status['counts']}")
    page = api.get(f"{link}/results", params={"limit": 100}).json()
    reused = sum(image["reused"] for image in page["results"])
    while page.get("next_cursor") is not None:
        page = api.get(f"{link}/results", params={"limit": 100, "cursor": page["next_cursor"]}).json()
        reused += sum(image["reused"] for image in page["results"])
    return took, reused


if __name__ == "__main__":
    main()
