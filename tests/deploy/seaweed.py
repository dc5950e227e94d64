"""An S3 server that others run in production, on loopback: SeaweedFS."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.deploy import tools
from tests.objectstore import KEYS, Store, free_port
from tests.waiting import wait_until


def server(directory: Path) -> Iterator[Store]:
    """Run it, with its data and its log in `directory`; it knows the writer's keys and the bystander's, and no others."""
    tools.needed("weed")
    from botocore.exceptions import BotoCoreError, ClientError

    keys = [(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"]), ("bystander", "secret")]
    rights = ["Admin", "Read", "Write", "List", "Tagging"]
    identities = [
        {"name": name, "credentials": [{"accessKey": name, "secretKey": secret}], "actions": rights} for name, secret in keys
    ]
    (directory / "s3.json").write_text(json.dumps({"identities": identities}))
    names = [f"{part}.port{kind}" for part in ("master", "volume", "filer", "s3") for kind in ("", ".grpc")]
    ports = {name: free_port() for name in names}
    command = [tools.found("weed"), "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={directory}", "-filer", "-s3"]
    command += [f"-s3.config={directory / 's3.json'}", "-master.telemetry=false", "-volume.max=20", "-master.volumeSizeLimitMB=64"]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command + [f"-{name}={port}" for name, port in ports.items()], stdout=log, stderr=log)
    try:
        store = Store(ports["s3.port"])

        def writes() -> bool:
            assert process.poll() is None, (directory / "log").read_text()[-4000:]
            try:
                store.client.create_bucket(Bucket="ready")
                store.client.put_object(Bucket="ready", Key="ready", Body=b"")
            except (BotoCoreError, ClientError):
                return False
            return True

        wait_until(writes, pause=0.2)
        yield store
    finally:
        process.kill()
        process.wait()
