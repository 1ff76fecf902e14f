"""What an image costs on this machine: the system is run on sample photographs, and each process asked what it used."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep

import numpy as np
import psutil

from services.client import Facemem
from services.local.bundles import bundles_folder, chosen
from services.local.supervisor import Report, to_nobody
from services.local.system import LocalSystem, local_system
from services.planning.plan import Costs
from shared.images.decode import decode, encode_jpeg
from shared.jobs.states import Stage
from shared.settings import LocalSettings

WARMING = 32  # images that are not counted: everything is loaded and used once
POLL_SECONDS = 0.5


def measure(photographs: Sequence[bytes], images: int, local: LocalSettings, report: Report = to_nobody) -> Costs:
    """Score so many variants of these photographs on a system of its own, and tell what that took of each part.

    Of `local` only the bundle in use is taken: nothing of this may come into anybody's database. Raises what the local
    system raises, and BrokenImage and its like for files that are no photographs.
    """
    variants = _variants(photographs)
    with TemporaryDirectory() as folder:
        own = {
            "home": Path(folder) / "home",
            "bundle": chosen(local),
            "bundles_folder": bundles_folder(local),
            **dict.fromkeys(("database_url", "broker_url", "storage_url", "api_url", "api_key")),
        }
        with local_system(local.model_copy(update=own), report=report) as system, Facemem(system.api_url) as facemem:
            _score(facemem, variants, WARMING, Path(folder))
            before = _used(system)
            report("sample", "being scored")
            faces = _score(facemem, variants, images, Path(folder))
            after = _used(system)
            stored = _kept(system.folder.objects)
    seconds = {name: (after[name] - before.get(name, 0.0)) / images for name in after}
    stages = {stage: seconds[f"{stage}-1"] for stage in Stage}
    rest = sum(taken for name, taken in seconds.items() if name in ("api", "dispatcher", "postgres", "redis"))
    return Costs(stages, rest, stored / (images + WARMING), faces / images, images)


def _score(facemem: Facemem, variants: Iterator[bytes], images: int, folder: Path) -> int:
    """Submit so many, wait for the end, and return how many faces they have."""
    files = []
    for number in range(images):
        files.append(folder / f"{number}.jpg")
        files[-1].write_bytes(next(variants))
    job = facemem.submit(files, captioner="describer")
    while not (status := facemem.job(job.id)).finished_at:
        sleep(POLL_SECONDS)
    return sum(len(image.faces) for image in facemem.results(status.id))


def _kept(objects: Path) -> int:
    """Bytes that stay. Originals and states are left out: when they go, after a job's end, is a matter of moments."""
    kinds = ("photos", "crops")  # as shared.storage.keys has them
    return sum(file.stat().st_size for kind in kinds for file in objects.glob(f"jobs/*/{kind}/*"))


def _variants(photographs: Sequence[bytes]) -> Iterator[bytes]:
    """Each a little darker or lighter than the others: the same bytes would not be computed again."""
    pixels = [decode(content, max_pixels=100_000_000).pixels for content in photographs]
    number = 0
    while True:
        light = 0.85 + 0.3 * ((number * 0.618034) % 1)
        yield encode_jpeg(np.clip(pixels[number % len(pixels)] * light, 0, 255).astype(np.uint8))
        number += 1


def _used(system: LocalSystem) -> dict[str, float]:
    """Seconds of a core that each process and its children have used so far, by name."""
    used = {}
    for name, pid in system.pids().items():
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        used[name] = sum(times.user + times.system for times in (each.cpu_times() for each in family))
    return used
