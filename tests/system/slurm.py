"""Debian's Slurm on this machine for a test: munged, slurmctld and two slurmd, each a node, in a temporary folder."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
PLACES = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin"
NODES = ("forge-a", "forge-b")
CONFIGURATION = """
ClusterName=forge
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
KillWait=5
SchedulerParameters=batch_sched_delay=0,sched_min_interval=200000
{nodes}
PartitionName=all Nodes={names} Default=YES MaxTime=INFINITE State=UP
"""


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def running() -> Iterator[Path]:
    """Start it and yield slurm.conf, for the variable SLURM_CONF; skip where Slurm is not installed."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=PLACES) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: install Debian's packages slurm-wlm and munge")
    with tempfile.TemporaryDirectory(prefix="slurm-") as name, ExitStack() as stack:
        folder = Path(name)
        controller, *ports = free_ports(1 + len(NODES))
        host = socket.gethostname()
        nodes = [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=2000"
            for node, port in zip(NODES, ports, strict=True)
        ]
        (folder / "state").mkdir()
        configuration = folder / "slurm.conf"
        configuration.write_text(
            CONFIGURATION.format(
                host=host,
                controller=controller,
                user=getpass.getuser(),
                folder=folder,
                nodes="\n".join(nodes),
                names=",".join(NODES),
            )
        )
        (folder / "munge.key").write_bytes(os.urandom(128))
        (folder / "munge.key").chmod(0o600)
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed", "log-file": "log"}
        options = [f"--{option}={folder}/munge.{name}" for option, name in files.items()]
        _start(stack, folder, "munged", "--foreground", "--force", *options)
        _until(lambda: (folder / "munge.socket").exists(), folder)
        _start(stack, folder, "slurmctld", "-D", "-f", str(configuration))
        for node in NODES:
            _start(stack, folder, "slurmd", "-D", "-N", node, "-f", str(configuration))
        sinfo = ["sinfo", "--noheader", "--Node", "--format=%T"]

        environment = os.environ | {"SLURM_CONF": str(configuration)}

        def idle() -> bool:
            told = subprocess.run(sinfo, env=environment, capture_output=True, text=True, check=False)
            return told.stdout.split() == ["idle"] * len(NODES)

        _until(idle, folder)
        yield configuration


def _start(stack: ExitStack, folder: Path, *command: str) -> None:
    log = stack.enter_context((folder / "daemons.log").open("ab"))
    process = subprocess.Popen(
        [shutil.which(command[0], path=PLACES) or command[0], *command[1:]],
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    stack.callback(process.wait, timeout=60)
    stack.callback(process.terminate)


def _until(holds: Callable[[], bool], folder: Path) -> None:
    until = time.monotonic() + 60
    while not holds():
        if time.monotonic() > until:
            pytest.fail(f"Slurm does not come up: {(folder / 'daemons.log').read_text()[-3000:]}")
        time.sleep(0.2)
