"""`forge push` of a release against `dvc push` of the same bytes: to a folder and to an S3 server on loopback.

`python -m benchmarks push [--megabytes 512] [--rounds 3]`. Both are commands of their own, with all that they import;
each round has an empty remote.
"""

import argparse
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._table import show
from benchmarks._versions import release
from forge_dagster.home import Home

TARGET = 1.2


def _run(command: list[str], environment: dict[str, str], cwd: Path) -> None:
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")


def main(*options: str) -> None:
    """Print seconds of both and their ratio, for each kind of remote."""
    import boto3
    from moto.server import ThreadedMotoServer

    parser = argparse.ArgumentParser(prog="python -m benchmarks push", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(options)
    os.environ |= {"AWS_ACCESS_KEY_ID": "t", "AWS_SECRET_ACCESS_KEY": "t", "AWS_DEFAULT_REGION": "us-east-1"}
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name) / "home")
        digest = release(home, given.megabytes)
        environment = os.environ | {"FORGE_HOME": str(home.root)}
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        server.start()
        host, port = server.get_host_and_port()
        bucket = boto3.resource("s3", endpoint_url=f"http://{host}:{port}").Bucket("versions")
        bucket.create()
        folder = Path(name) / "remote"
        dvc = [sys.executable, "-m", "dvc"]
        for place in (["folder", str(folder)], ["bucket", "s3://versions/x"]):
            _run([*dvc, "remote", "add", *place], environment, home.root)
        _run([*dvc, "remote", "modify", "bucket", "endpointurl", f"http://{host}:{port}"], environment, home.root)

        def empty() -> None:
            shutil.rmtree(folder, ignore_errors=True)
            bucket.objects.all().delete()
            # DVC remembers what a remote had; forge does not ask that memory.
            shutil.rmtree(home.root / ".dvc" / "tmp", ignore_errors=True)
            from dvc.repo import Repo

            with Repo(str(home.root)) as repo:
                shutil.rmtree(Path(str(repo.site_cache_dir)) / "index", ignore_errors=True)

        commands: dict[str, tuple[list[str], Path]] = {
            "ours": ([sys.executable, "-m", "forge_dagster.cli.main", "push", "big/release", "--remote"], Path.cwd()),
            "theirs": ([*dvc, "push", f"artifacts/big/release/{digest}.dvc", "-r"], home.root),
        }
        rows = []
        for remote in ("folder", "bucket"):
            seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
            for _ in range(given.rounds):
                for who, (command, cwd) in commands.items():
                    empty()
                    begun = time.perf_counter()
                    _run([*command, remote], environment, cwd)
                    seconds[who].append(time.perf_counter() - begun)
            ratios = [a / b for a, b in zip(seconds["ours"], seconds["theirs"], strict=True)]
            rows.append((remote, statistics.median(seconds["ours"]), statistics.median(seconds["theirs"]), ratios))
        server.stop()
    show(f"Pushing a release of {given.megabytes} MB (target: at most {TARGET} times)", rows, peer="dvc push")
