"""The Python reference is that of the docstrings."""

from pathlib import Path

from xtrader.cli.reference import page


def test_the_reference_of_the_documentation_is_the_present_one() -> None:
    shown = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    assert shown == page(), "make it anew: xtrader _reference > docs/api.md"
