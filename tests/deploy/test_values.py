"""Values full of what the platforms' languages are made of arrive as they were meant, or are refused with the reason."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.deploy import platforms
from tests.deploy.tools import REFERENCE
from xtrader.deploy import quoting
from xtrader.deploy.instance import WITH_PASSWORD, read_instance
from xtrader.deploy.made import make_instance
from xtrader.deploy.targets import TARGETS
from xtrader.deploy.workload import image
from xtrader.errors import ConfigError

PIECES = [
    *("$", "${", "}", "$$", "$(A)", "${A:-b}", "%{", "%d", "#", " #", "'", '"', "\\", "\\n", "`", "{{", "}}", "{{resolve:ssm:a}}"),
    *(
        " ",
        "\t",
        "\n",
        "\r",
        "\r\n",
        "=",
        ";",
        ":",
        ": ",
        "- ",
        "&a",
        "*a",
        "!x",
        "|",
        ">",
        "~",
        "null",
        "yes",
        "0x1",
        "1e3",
        "<<EOF",
    ),
    *("é", "e\u0301", "日本", "😀", "\ufeff", "\u2028", "\u00a0", "\x85", "\x01", "\x1b", "\x7f", "\ufdd0", "\uffff"),
]
TEXT = st.one_of(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20),
).filter(lambda text: not WITH_PASSWORD.search(text))
REFUSALS = {"k8s": quoting.kubernetes, "systemd": quoting.systemd, "nomad": quoting.hcl, "ecs": quoting.ecs}
EACH = 40
"""Values in one instance: a platform's program is started once for all of them."""


def refused(target: str, text: str) -> str:
    """Why a platform refuses a value; nothing if it does not."""
    try:
        if target in REFUSALS:
            REFUSALS[target](text)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("target", platforms.READERS)
@settings(
    max_examples=5,  # of EACH values: 200
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(TEXT, min_size=EACH, max_size=EACH))
def test_a_value_arrives_as_it_was_meant_or_is_refused(target: str, texts: list[str]) -> None:
    platforms.require(target)
    with tempfile.TemporaryDirectory() as scratch:
        kept = {f"VALUE_{index}": text for index, text in enumerate(texts) if not refused(target, text)}
        one = make_instance(Path(scratch), "v", {"SUBSCRIPTIONS": "L2:OKX_SWAP@BTCUSDT"} | kept)
        assert {name: text for name, text in one.variables.items() if name in kept} == kept, "our own file"
        made = TARGETS[target]([one], image(REFERENCE))
        for path, text in made.files.items():
            Path(scratch, path).parent.mkdir(parents=True, exist_ok=True)
            Path(scratch, path).write_text(text, encoding="utf-8", newline="")
        found = platforms.READERS[target](Path(scratch), "v")
        assert {name: text for name, text in found.items() if name in kept} == kept


@pytest.mark.parametrize(
    ("target", "text", "reason"),
    [
        ("systemd", "a\x01b", "systemd's environment files hold no control characters"),
        ("systemd", "a\r\nb", "systemd's environment files hold no control characters"),
        ("systemd", "a\ufdd0", "systemd refuses the whole file"),
        ("k8s", "a\x85", "kubectl's kustomize puts control characters into its YAML"),
        ("nomad", "a${b}", "Nomad replaces ${…} when the task starts"),
        ("nomad", "e\u0301", "Nomad composes accents"),
        ("ecs", "é", "CloudFormation gives templates back with ?"),
        ("ecs", "a{{resolve:ssm:x}}", "CloudFormation would look up"),
        ("ecs", "a\x7f", "CloudFormation takes no control characters"),
    ],
)
def test_what_a_platform_cannot_carry_is_refused_with_file_line_and_reason(
    target: str, text: str, reason: str, tmp_path: Path
) -> None:
    file = tmp_path / "x.env"
    file.write_bytes(f"# one\nSUBSCRIPTIONS=L2:OKX_SWAP@BTCUSDT\n\nNOTE={quoting.dotenv(text)}\n".encode())
    with pytest.raises(ConfigError) as caught:
        TARGETS[target]([read_instance(file)], image(REFERENCE))
    assert str(caught.value).startswith(f"NOTE in {file} line 4 cannot be given to ")
    assert reason in str(caught.value)
    others = set(TARGETS) - {target}
    for other in others:
        if not refused(other, text):
            assert TARGETS[other]([read_instance(file)], image(REFERENCE)).files
