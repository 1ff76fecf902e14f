"""Reads docker-compose.yml and the Dockerfile as far as tests need it, where there is no Docker to read them."""

import ast
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement

from shared.jobs.states import Stage

ROOT = Path(__file__).resolve().parents[1]
OURS = ("migrate", "api", "dispatcher", *Stage, "flower", "doctor")
ONCE = ("migrate", "doctor")  # of ours, what does one thing and ends
SERVERS = ("postgres", "redis", "s3", "ollama", "prometheus", "grafana")
SHOW_METRICS = ("api", "dispatcher", *Stage)

_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\})")


class Unset(Exception):
    """A variable that the file insists on is not set."""


def interpolated(text: str, environment: Mapping[str, str]) -> str:
    """The text as Docker Compose would read it: ${NAME}, ${NAME:-default}, ${NAME:?message}, $$ for a dollar sign."""

    def value(found: re.Match[str]) -> str:
        if found["name"] is None:
            return "$"
        given = environment.get(found["name"], "")
        if not given and found["kind"] == "?":
            raise Unset(f"{found['name']}: {found['rest']}")
        return given or (found["rest"] if found["kind"] == "-" else "")

    return _VARIABLE.sub(value, text)


def read_compose(environment: Mapping[str, str], path: Path = ROOT / "docker-compose.yml") -> dict[str, Any]:
    """The file with its variables filled in. Raises Unset."""
    return _filled(yaml.safe_load(path.read_text()), environment)


def required_variables(path: Path = ROOT / "docker-compose.yml") -> set[str]:
    """The variables that the file insists on."""
    return {found["name"] for found in _VARIABLE.finditer(path.read_text()) if found["kind"] == "?"}


SECRETS = {name: f"secret{number}of{name.replace('_', '')}" for number, name in enumerate(sorted(required_variables()))}


def optional_variables(path: Path = ROOT / "docker-compose.yml") -> set[str]:
    """The variables that have a default."""
    return {found["name"] for found in _VARIABLE.finditer(path.read_text()) if found["kind"] == "-"}


def _filled(node: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _filled(value, environment) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, environment) for value in node]
    return interpolated(node, environment) if isinstance(node, str) else node


@dataclass(frozen=True)
class Image:
    """What one target of the Dockerfile holds: extras of our package, copied paths, and how it ends."""

    extras: frozenset[str]
    copies: tuple[tuple[tuple[str, ...], str], ...]
    user: str | None
    command: str | None

    def lay_out(self, folder: Path) -> None:
        """Puts the files into a folder as they are in the image."""
        for sources, target in self.copies:
            for source in sources:
                place = (
                    folder / target / Path(source).name if target.endswith("/") or len(sources) > 1 else folder / target
                )
                place.parent.mkdir(parents=True, exist_ok=True)
                if (ROOT / source).is_dir():
                    shutil.copytree(
                        ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
                    )
                else:
                    shutil.copy(ROOT / source, place)

    def packages(self) -> set[str]:
        """The names of the packages that this image's extras bring, with all that those need."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        groups = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in self.extras)]
        return _closure({Requirement(need) for group in groups for need in group})

    def modules_left_out(self) -> set[str]:
        """The modules that are installed here and that this image's packages do not bring."""
        brought = self.packages()
        return {
            module for module, names in _installed().items() if not names & (brought | {"facemem", "pip", "setuptools"})
        }


def missing_modules(folder: Path) -> set[str]:
    """Modules of ours that code in a folder imports from anywhere in it, and that are not there."""
    ours = {"migrations", "services", "shared", "workers"}
    imported = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module)
    return {
        module
        for module in imported
        if module.partition(".")[0] in ours
        and not (folder / module.replace(".", "/")).is_dir()
        and not (folder / f"{module.replace('.', '/')}.py").is_file()
    }


def read_images(path: Path = ROOT / "Dockerfile") -> dict[str, Image]:
    """The targets of the Dockerfile, each with what it takes over from the target it begins with."""
    images: dict[str, Image] = {}
    name = ""
    for verb, rest in _instructions(path):
        if verb == "FROM":
            parent, name = re.fullmatch(r"(\S+) AS (\w+)", rest).groups()
            images[name] = images.get(parent, Image(frozenset(), (), None, None))
        image = images[name]
        extras, copies, user, command = image.extras, image.copies, image.user, image.command
        match verb:
            case "COPY":
                *sources, target = rest.split()
                copies = (*copies, (tuple(sources), target))
            case "RUN":
                extras |= {extra for found in re.findall(r'"\.\[([\w,]+)\]"', rest) for extra in found.split(",")}
            case "USER":
                user = rest
            case "CMD":
                command = rest
        images[name] = Image(extras, copies, user, command)
    return images


def _instructions(path: Path) -> Iterator[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    for line in filter(None, map(str.strip, text.splitlines())):
        verb, _, rest = line.partition(" ")
        yield verb, rest.strip()


def _closure(requirements: set[Requirement]) -> set[str]:
    """The names of all distributions that these need, of those that are installed here."""
    wanted = {(plain(each.name), extra) for each in requirements for extra in {"", *each.extras}}
    seen: set[tuple[str, str]] = set()
    while wanted:
        name, extra = wanted.pop()
        try:
            needs = map(Requirement, distribution(name).requires or [])
        except PackageNotFoundError:
            continue
        seen.add((name, extra))
        for need in needs:
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                wanted |= {(plain(need.name), each) for each in {"", *need.extras}} - seen
    return {name for name, _ in seen}


@cache
def _installed() -> dict[str, set[str]]:
    """The distributions that bring each module that is installed here."""
    return {module: {plain(name) for name in names} for module, names in packages_distributions().items()}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
