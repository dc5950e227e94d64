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


def test_the_package_says_whose_it_is_and_under_which_licence() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert project["authors"]
    assert project["keywords"]
    assert "Typing :: Typed" in project["classifiers"]


def test_workflows_use_only_what_is_pinned_by_its_commit_and_ask_for_no_right_at_large() -> None:
    files = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert files
    for path in files:
        text = path.read_text()
        assert re.search(r"^permissions: \{\}$", text, re.MULTILINE), path
        used = re.findall(r"uses: (.+)", text)
        assert all(re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one) for one in used), path


def test_links_of_the_pages_lead_to_files() -> None:
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} leads to {target}"
