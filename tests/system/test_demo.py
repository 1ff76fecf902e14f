"""`facemem demo`, as a stranger runs it."""

import subprocess
import sys
from pathlib import Path

import psutil
from PIL import Image

COMMAND = Path(sys.executable).with_name("facemem")


def test_the_demo_shows_faces_no_face_and_errors_and_leaves_nothing_running(tmp_path: Path) -> None:
    # The name of the folder is in the command line or the environment of whatever works for it.
    output = tmp_path / "demo-output"
    ended = subprocess.run([COMMAND, "demo", "--output", output], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr

    rows = {line.split()[0]: line for line in ended.stdout.splitlines() if ".jpg" in line or ".png" in line}
    assert "±" in rows["grace-hopper.jpg"]
    assert sum(line.startswith(" group.jpg") for line in ended.stdout.splitlines()) == 4
    assert "No face was found." in rows["coffee.jpg"]
    assert "damaged or cut off" in rows["broken.jpg"]
    assert "not a JPEG" in rows["not-an-image.jpg"]
    assert "not whether it is remembered" in ended.stdout

    assert Image.open(output / "contact-sheet.png").width > 1000
    assert sorted(path.name for path in output.iterdir()) == ["contact-sheet.png", "photos"]
    assert [process for process in psutil.process_iter() if str(output) in " ".join(_command(process))] == []


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
