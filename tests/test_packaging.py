import re
import tomllib
from pathlib import Path

from xtrader import venues
from xtrader.settings.load import FLAGS, VARIABLES

ROOT = Path(__file__).parents[1]


def test_the_lock_pins_every_dependency_by_hash_and_names_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    pins = [block for block in re.split(r"\n(?=[a-z0-9])", text) if not block.startswith("#")]
    assert all(re.match(r"[a-z0-9-]+==\S+", pin) and "--hash=sha256:" in pin for pin in pins)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    pinned = {pin.split("==")[0] for pin in pins}
    assert {re.match(r"[a-zA-Z0-9-]+", one)[0].lower() for one in wanted} <= pinned  # type: ignore[index]


def test_the_readme_names_every_flag_and_variable() -> None:
    text = (ROOT / "README.md").read_text()
    assert [name for name in (*FLAGS.values(), *VARIABLES, *venues.variables()) if f"`{name}`" not in text] == []
    assert [name for name in FLAGS if f"`--{name.replace('_', '-')}" not in text] == []
