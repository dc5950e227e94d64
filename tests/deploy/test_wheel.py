"""What is published to be installed: the wheel, alone in a new environment of the newest Python that this machine has."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from tests.needs import missing

pytestmark = pytest.mark.timeout(900)
TREE = Path(__file__).parents[2]
SUPPORTED = (3, 14)
"""The newest Python that all dependencies have wheels for."""
PATHS = ("/usr/bin/python3.*", "/usr/local/bin/python3.*", os.path.expanduser("~/.pyenv/versions/3.*/bin/python3.*"))


def run(*command: str | Path, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command that knows nothing of this tree and of its environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "XTRADER_"))}
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=kept, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done


def newest() -> str:
    """The newest Python that is installed here."""
    found = {}
    for path in {sys.executable, *(path for pattern in PATHS for path in glob.glob(pattern))}:
        if re.fullmatch(r"python(3\.\d+)?", Path(path).name):
            asked = [path, "-c", "import sys, ensurepip; print(*sys.version_info[:2])"]
            said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
            found[tuple(map(int, said.split()))] = path
    return found[max(version for version in found if version <= SUPPORTED)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built from a copy: a build leaves its files beside the sources."""
    place = tmp_path_factory.mktemp("wheel")
    shutil.copytree(TREE / "xtrader", place / "tree" / "xtrader", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(TREE / name, place / "tree")
    build = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", place, ".")
    run(*build, cwd=place / "tree")
    (built,) = place.glob("*.whl")
    return built


def test_everything_of_the_package_is_in_the_wheel(wheel: Path) -> None:
    files = {path.relative_to(TREE).as_posix() for path in (TREE / "xtrader").rglob("*") if path.is_file()}
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in files if "__pycache__" not in name and not name.startswith(".")} - inside == set()


def test_it_installs_alone_into_the_newest_python_and_records(wheel: Path, tmp_path: Path) -> None:
    if run(
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", tmp_path, "click", cwd=tmp_path, check=False
    ).returncode:
        missing("no package index can be reached")
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        run(newest(), "-m", "venv", place / "env", cwd=place)
        run(
            place / "env" / "bin" / "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--only-binary=:all:",
            wheel,
            cwd=place,
        )
        said = run(place / "env" / "bin" / "xtrader", "demo", "--seconds", "3", "--output-directory", "out", cwd=place)
        assert list((place / "out").rglob("*.parquet"))
        assert "L2" in said.stdout
