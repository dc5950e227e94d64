from pathlib import Path

import pytest

from xtrader.cli.main import main
from xtrader.deploy.instance import read_instance, read_instances
from xtrader.deploy.targets import TARGETS
from xtrader.deploy.workload import FARGATE, fargate, image, needs
from xtrader.errors import ConfigError

BOOK = "SUBSCRIPTIONS=L2:OKX_SWAP@BTCUSDT\n"
IMAGE = image("registry:5000/x/xtrader:1.0.0")


def instance(tmp_path: Path, text: str, name: str = "x") -> Path:
    path = tmp_path / f"{name}.env"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no subscriptions"),
        ("SUBSCRIPTIONS=L2:OKX_SWOP@BTCUSDT\n", "OKX_SWAP"),
        (BOOK + "XTRADER_CONNECTIONS=3\n", "XTRADER_CONNECTIONS in {path} line 2 '3' is neither 1 nor 2"),
        (BOOK + "XTRADER_OUTPUT_DIRECTRY=/data\n", "'{path}' line 2: the variable XTRADER_OUTPUT_DIRECTRY is unknown"),
        (BOOK + "XTRADER_OUTPUT_DIRECTORY=./data\n", "XTRADER_OUTPUT_DIRECTORY in {path} line 2 './data' is outside /data"),
        (BOOK + "XTRADER_RAW_DIRECTORY=/data/../etc\n", "XTRADER_RAW_DIRECTORY in {path} line 2 '/data/../etc' is outside /data"),
        (BOOK + "QUESTDB_HTTP_PORT=many\nXTRADER_SINK=questdb\n", "QUESTDB_HTTP_PORT"),
        (BOOK + "XTRADER_OKX_SWAP_WS_URL=wss://u:p@proxy\n", "line 2 holds a password within an address"),
        (BOOK + "HTTPS_PROXY=http://u:p@proxy:3128\n", "HTTPS_PROXY in {path} line 2 holds a password within an address"),
        (BOOK + "GITHUB_TOKEN=x\n", "GITHUB_TOKEN in {path} line 2 looks like a secret, but is none that xtrader reads"),
        (BOOK + "HOME=/root\n", "HOME in {path} line 2 is set by the platform"),
        (BOOK + "not an assignment\n", "'{path}' line 2 is not an assignment"),
        (BOOK + "a-b=1\n", "a-b in {path} line 2 is not a name that all platforms take"),
    ],
)
def test_what_a_recorder_would_refuse_or_could_not_do_is_refused_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    path = instance(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_instance(path)
    assert sentence.format(path=path) in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "1a", "a" * 33])
def test_an_instance_has_a_name_that_every_platform_takes(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="1 to 32 of a-z, 0-9 and -"):
        read_instance(instance(tmp_path, BOOK, name))


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "y").mkdir()
    with pytest.raises(ConfigError, match="are both the instance 'x'"):
        read_instances([instance(tmp_path, BOOK), instance(tmp_path / "y", BOOK)])


def test_an_instance_knows_whether_files_stay_and_what_it_calls(tmp_path: Path) -> None:
    files = read_instance(instance(tmp_path, BOOK))
    assert (files.keeps_files, files.bucket, files.environment()["XTRADER_OUTPUT_DIRECTORY"]) == (True, "", "/data")
    store = read_instance(instance(tmp_path, BOOK + "XTRADER_OUTPUT_DIRECTORY=s3://b/p/\nAWS_ENDPOINT_URL=http://store:9000\n"))
    assert (store.keeps_files, store.bucket) == (False, "b/p")
    assert {443, 9000} <= set(store.ports)
    both = read_instance(instance(tmp_path, BOOK + "XTRADER_UPLOAD_URL=s3://b\n"))
    assert both.keeps_files
    database = read_instance(instance(tmp_path, BOOK + "XTRADER_SINK=questdb\nQUESTDB_ILP_PORT=9109\n"))
    assert not database.keeps_files
    assert "XTRADER_OUTPUT_DIRECTORY" not in database.environment()
    assert {9000, 9109} <= set(database.ports)


def test_secrets_are_names_whatever_their_file_and_store_keys_are_among_them(tmp_path: Path) -> None:
    text = BOOK + "DERIBIT_CLIENT_ID=me\nDERIBIT_CLIENT_SECRET_FILE=/nowhere/secret\nAWS_SECRET_ACCESS_KEY=x\nAWS_REGION=eu\n"
    one = read_instance(instance(tmp_path, text + "AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/token\n"))
    assert one.secrets == ("AWS_SECRET_ACCESS_KEY", "DERIBIT_CLIENT_ID", "DERIBIT_CLIENT_SECRET")
    assert one.variables["AWS_WEB_IDENTITY_TOKEN_FILE"] == "/var/run/token"
    assert not {"DERIBIT_CLIENT_SECRET_FILE", "AWS_SECRET_ACCESS_KEY"} & one.variables.keys()
    assert one.environment(secrets="/s")["DERIBIT_CLIENT_SECRET_FILE"] == "/s/DERIBIT_CLIENT_SECRET"


def test_a_fixed_name_is_refused_where_old_and_new_run_side_by_side(tmp_path: Path) -> None:
    one = read_instance(instance(tmp_path, BOOK + "XTRADER_SINK=questdb\nXTRADER_COLLECTOR_ID=me\n"))
    for target in ("k8s", "ecs", "nomad"):
        with pytest.raises(ConfigError, match=r"XTRADER_COLLECTOR_ID in .* line 3 cannot be given to"):
            TARGETS[target]([one], IMAGE)
    assert TARGETS["compose"]([one], IMAGE).files


@pytest.mark.parametrize("text", ["xtrader", "xtrader:latest", "r/x@sha256:12", "R/x:1", "r/x:1 2", "", "http://r/x:1"])
def test_an_image_that_names_no_version_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--image"):
        image(text)


def test_an_image_is_a_name_with_a_tag_or_a_digest() -> None:
    digest = "sha256:" + "0" * 64
    assert str(image(f"r.example:5000/a/b@{digest}")) == f"r.example:5000/a/b@{digest}"
    assert (image("r/x:1.0@" + digest).tag, image("r/x:1.0@" + digest).digest) == ("1.0", digest)


def test_more_instruments_need_more_memory_and_fargate_sells_it(tmp_path: Path) -> None:
    few = needs(read_instance(instance(tmp_path, BOOK)))
    names = ",".join(f"L2:OKX_SWAP@A{index}USDT" for index in range(2000))
    many = needs(read_instance(instance(tmp_path, f"SUBSCRIPTIONS={names}\nXTRADER_WORKERS=4\nXTRADER_CONNECTIONS=2\n")))
    assert few.memory < many.memory
    for needed in (few, many):
        cpu, memory = fargate(needed)
        assert memory in FARGATE[cpu]
        assert memory >= needed.memory_most


def test_new_makes_a_checked_file_and_never_replaces_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    book = "L2:OKX_SWAP@BTCUSDT"
    assert main(["deploy", "new", "a", "--subscriptions", book, "--sink", "questdb", "--set", "NOTE=a b#c"]) == 0
    assert read_instance(Path("instances/a.env")).variables["NOTE"] == "a b#c"
    assert Path("instances/a.env").stat().st_mode & 0o777 == 0o600
    before = Path("instances/a.env").read_text()
    assert main(["deploy", "new", "a", "--subscriptions", book]) == 2
    assert "exists already" in capsys.readouterr().err
    assert Path("instances/a.env").read_text() == before
    assert main(["deploy", "new", "b", "--subscriptions", "L2:OKX_SWAP@"]) == 2
    assert main(["deploy", "new", "b", "--subscriptions", book, "--set", "XTRADER_WORKERS=many"]) == 2
    assert "XTRADER_WORKERS in instances/b.env line" in capsys.readouterr().err
    assert [path.name for path in Path("instances").iterdir()] == ["a.env"]


def test_an_instance_that_is_not_there_is_refused_with_what_makes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--target", "k8s", "--image", "r/x:1", "--output", str(tmp_path / "o"), str(tmp_path / "a.env")]
    assert main(["deploy", "render", *arguments]) == 2
    assert "make one with: xtrader deploy new a" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
