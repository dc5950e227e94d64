"""Where files go, as the settings say it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from xtrader.cli.main import main
from xtrader.errors import ConfigError
from xtrader.settings.load import Settings, load


def settings(environ: dict[str, str], flags: dict[str, object] | None = None, dotenv: Path | None = None) -> Settings:
    return load(flags or {}, environ, dotenv)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def test_nothing_is_uploaded_unless_it_is_asked_for() -> None:
    assert settings({}).upload is None


def test_a_url_as_output_directory_is_reached_through_a_spool_that_is_the_same_every_time(state: Path) -> None:
    found = settings({}, {"output_directory": "S3://Bucket/a/prefix/"})
    assert found.upload is not None
    assert (found.upload.url, found.upload.keep_local) == ("s3://Bucket/a/prefix", False)
    assert found.output_directory.parent == state / "xtrader" / "spool"
    assert found.journal_directory == found.output_directory / ".journal"
    assert settings({"XTRADER_OUTPUT_DIRECTORY": "s3://Bucket/a/prefix"}).output_directory == found.output_directory
    assert settings({"XTRADER_OUTPUT_DIRECTORY": "s3://Bucket/a/other"}).output_directory != found.output_directory


def test_an_upload_url_leaves_the_directory_as_it_is() -> None:
    found = settings({"XTRADER_UPLOAD_URL": "gs://bucket"}, {"output_directory": "/data"})
    assert found.upload is not None
    assert (found.output_directory, found.upload.url, found.upload.keep_local) == (Path("/data"), "gs://bucket", True)


@pytest.mark.parametrize("name", ["XTRADER_UPLOAD_URL", "XTRADER_OUTPUT_DIRECTORY"])
@pytest.mark.parametrize(("text", "kept"), [("true", True), ("false", False)])
def test_whether_local_copies_are_kept_is_the_user_s_choice(name: str, text: str, kept: bool) -> None:
    found = settings({name: "az://container/a", "XTRADER_UPLOAD_KEEP_LOCAL": text})
    assert found.upload is not None
    assert found.upload.keep_local is kept


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"XTRADER_UPLOAD_URL": "./data"}, "XTRADER_UPLOAD_URL './data' is not an object store such as s3://bucket/prefix"),
        ({"XTRADER_UPLOAD_URL": "s3://"}, "XTRADER_UPLOAD_URL 's3://' is not an object store"),
        ({"XTRADER_OUTPUT_DIRECTORY": "ftp://host/a"}, "XTRADER_OUTPUT_DIRECTORY 'ftp://host/a' is not an object store"),
        ({"XTRADER_UPLOAD_URL": "s3://key:word@bucket/a"}, "XTRADER_UPLOAD_URL 's3://…@bucket/a' is not an object store"),
        ({"XTRADER_UPLOAD_URL": "az://a/b?sig=word"}, "XTRADER_UPLOAD_URL 'az://a/b' is not an object store"),
        ({"XTRADER_OUTPUT_DIRECTORY": "s3://a/b", "XTRADER_UPLOAD_URL": "s3://a/b"}, "XTRADER_UPLOAD_URL is one too many"),
        ({"XTRADER_UPLOAD_URL": "s3://a/b", "XTRADER_UPLOAD_KEEP_LOCAL": "perhaps"}, "'perhaps' is neither true nor false"),
        ({"XTRADER_UPLOAD_URL": "s3://a/b", "XTRADER_ROTATE_BYTES": "5GiB"}, "XTRADER_ROTATE_BYTES must be at most 4GiB"),
    ],
)
def test_what_can_never_be_uploaded_to_is_refused(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(environ)
    assert sentence in str(caught.value)
    assert "word" not in str(caught.value)


def test_a_profile_without_boto3_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings({"XTRADER_UPLOAD_URL": "s3://a/b", "AWS_PROFILE": "desk"}).upload is not None
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.setattr("xtrader.settings.destination.find_spec", lambda name: None if name == "boto3" else name)
    with pytest.raises(ConfigError, match=r"pip install 'xtrader\[aws\]'"):
        settings({"XTRADER_UPLOAD_URL": "s3://a/b", "AWS_PROFILE": "desk"})


def test_an_upload_without_what_uploads_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xtrader.settings.destination.find_spec", lambda _: None)
    with pytest.raises(
        ConfigError, match=r"^uploads to s3://a/b need obstore, which is not installed here; use a local directory$"
    ):
        settings({"XTRADER_UPLOAD_URL": "s3://a/b"})


def test_the_store_s_own_variables_come_from_dotenv_too_and_its_secrets_are_never_shown(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("AWS_SECRET_ACCESS_KEY=very-secret-words\nAWS_REGION=eu-west-1\nOTHER=x\n")
    found = settings({"AWS_REGION": "us-east-1", "AZURE_STORAGE_SAS_TOKEN": "more-words"}, None, dotenv)
    assert found.store_variables == {
        "AWS_REGION": "us-east-1", "AWS_SECRET_ACCESS_KEY": "very-secret-words", "AZURE_STORAGE_SAS_TOKEN": "more-words"
    }  # fmt: skip
    assert {"very-secret-words", "more-words"} == set(found.secrets)
    assert "words" not in repr(found)


def test_a_recording_of_the_past_is_not_written_to_a_spool(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["renormalise", str(tmp_path / "any"), "--output-directory", "s3://bucket/a"]) == 2
    assert "renormalise writes to a directory, not to s3://bucket/a" in capsys.readouterr().err
