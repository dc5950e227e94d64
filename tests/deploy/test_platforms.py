"""One `.env`, one behaviour: the same instances rendered for every platform come to the same effective settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.deploy import platforms
from tests.deploy.tools import REFERENCE, ROOT
from xtrader.cli.main import main
from xtrader.settings.dotenv import read_dotenv
from xtrader.settings.effective import effective
from xtrader.settings.load import secret_names, sources_of
from xtrader.settings.secrets import with_credentials

FILES = sorted((ROOT / "deploy" / "instances").glob("*.env"))
SECRET = "hunter2-is-no-good"


def come_to(environment: dict[str, str], secrets: Path) -> dict[str, object]:
    """What a recorder makes of these variables, with its secrets in the directory `secrets`."""
    environment = dict(with_credentials(environment, secret_names()))
    placed = {name: value.replace("/run/secrets", str(secrets)) for name, value in environment.items()}
    for name in placed:
        if name.endswith("_FILE"):
            Path(placed[name]).write_text(SECRET)
            Path(placed[name]).chmod(0o600)
    settings, found = effective(sources_of({}, placed, None))
    assert settings.warnings == ()
    return {one.name: one.is_set if one.secret else one.value for one in found}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """What the instances' own files come to in a container, whose image sets where things are."""
    scratch = tmp_path_factory.mktemp("secrets")
    found = {}
    for path in FILES:
        text = re.sub(r"^(\w+_FILE)=/run/secrets/", rf"\1={scratch}/", path.read_text(), flags=re.MULTILINE)
        for name in re.findall(rf"={scratch}/(\w+)", text):
            (scratch / name).write_text(SECRET)
            (scratch / name).chmod(0o600)
        file = scratch / path.name
        file.write_text(text)
        image = {"XTRADER_JOURNAL_DIRECTORY": "/data/.journal", "XDG_STATE_HOME": "/data/.state", "XDG_CACHE_HOME": "/data/.cache"}
        image["XTRADER_HTTP"] = "0.0.0.0:9090"
        dockerfile = ROOT / "Dockerfile"
        assert not dockerfile.exists() or all(f"{key}={value}" in dockerfile.read_text() for key, value in image.items())
        # What an instance says takes the place of what the image says.
        image = {name: value for name, value in image.items() if name not in read_dotenv(file)}
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir("/")
            for name, value in image.items():
                patch.setenv(name, value)
            settings, effects = effective(sources_of({}, image, file))
        assert settings.warnings == ()
        found[path.stem] = {one.name: one.is_set if one.secret else one.value for one in effects}
    assert len(found) == 3
    return found


@pytest.mark.parametrize("target", platforms.READERS)
def test_an_instance_comes_to_the_same_settings_on_every_platform(
    target: str,
    expected: dict[str, dict[str, object]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    platforms.require(target)
    out = tmp_path / "out"
    arguments = ["--target", target, "--image", REFERENCE, "--output", str(out), *map(str, FILES)]
    assert main(["deploy", "render", *arguments]) == 0
    monkeypatch.chdir("/")
    todo = capsys.readouterr().err
    for name, wanted in expected.items():
        environment = platforms.READERS[target](out, name)
        secrets = tmp_path / f"secrets-{name}"
        secrets.mkdir()
        for secret in re.findall(rf"/etc/xtrader/{name}\.secrets/(\w+)", todo):
            # A directory that the unit loads as the credential `xtrader` is files of these names.
            (secrets / f"xtrader_{secret}").write_text(SECRET)
            (secrets / f"xtrader_{secret}").chmod(0o600)
            environment["CREDENTIALS_DIRECTORY"] = str(secrets)
        monkeypatch.setenv("XDG_STATE_HOME", environment["XDG_STATE_HOME"])
        found = come_to(environment, secrets)
        assert {key: platforms.moved(target, name, value) for key, value in found.items()} == wanted, (target, name)


def test_no_secret_is_rendered(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "s.env"
    file.write_text(
        f"SUBSCRIPTIONS=L2:DERIBIT@BTC-PERPETUAL\nDERIBIT_CLIENT_ID={SECRET}\nDERIBIT_CLIENT_SECRET={SECRET}\n"
        f"XTRADER_OUTPUT_DIRECTORY=s3://bucket/s\nAWS_ACCESS_KEY_ID={SECRET}\nAWS_SECRET_ACCESS_KEY={SECRET}\n"
        f"XTRADER_HTTP_TOKEN={SECRET}\n"
    )
    secrets = [line.partition("=")[0] for line in file.read_text().splitlines() if SECRET in line]
    assert len(secrets) == 5
    for target in platforms.READERS:
        arguments = ["--target", target, "--image", REFERENCE, "--output", str(tmp_path / target), str(file)]
        assert main(["deploy", "render", *arguments]) == 0
        said = capfd.readouterr()
        texts = [path.read_text() for path in (tmp_path / target).rglob("*") if path.is_file()]
        assert not any(SECRET in text for text in (*texts, said.out, said.err))
        for name in (
            "DERIBIT_CLIENT_ID",
            "DERIBIT_CLIENT_SECRET",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "XTRADER_HTTP_TOKEN",
        ):
            assert target == "systemd" or any(name in text for text in texts), (target, name)
            assert name in said.err, (target, name)
