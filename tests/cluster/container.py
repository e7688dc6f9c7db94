"""The command of a container as this machine can run it, with what it may not see or write taken away for real."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Root needs no namespace of users, in which it could not open what other users of the machine own (a server's socket).
UNSHARED = ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--mount", "sh", "-c"]


def can_confine() -> bool:
    """Whether a process may have mounts of its own here."""
    try:
        done = subprocess.run([*UNSHARED, "mount --bind /tmp /tmp"], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0


def command_of(pod: Mapping[str, Any], environment: Mapping[str, str], first: str) -> list[str]:
    """What a container runs, its variables filled in; `first` is the name of the first pod, which is here."""
    (container,) = pod["spec"]["containers"]
    command = [*(container.get("command") or []), *(container.get("args") or [])]
    if command[0] == "dagster":
        command[:1] = [sys.executable, "-m", "dagster"]
    return [_filled(each, environment).replace(first, "127.0.0.1") for each in command]


def confined(command: list[str], pod: Mapping[str, Any], *, read_only: bool, hidden: Path | None = None) -> list[str]:
    """The command in mounts of its own: claims that take no writes, a file that is hidden."""
    mounts = []
    for path in map(shlex.quote, _claims(pod) if read_only else []):
        mounts += [f"mount --bind {path} {path}", f"mount -o remount,bind,ro {path}"]
    if hidden is not None:
        mounts.append(f"mount --bind /dev/null {shlex.quote(str(hidden))}")
    return [*UNSHARED, " && ".join([*mounts, 'exec "$@"']), "sh", *command] if mounts else command


def _claims(pod: Mapping[str, Any]) -> list[str]:
    """Where a pod sees volumes that outlive it."""
    (container,) = pod["spec"]["containers"]
    claims = {each["name"] for each in pod["spec"].get("volumes") or [] if "persistentVolumeClaim" in each}
    return [each["mountPath"] for each in container.get("volumeMounts") or [] if each["name"] in claims]


def _filled(argument: str, environment: Mapping[str, str]) -> str:
    """An argument with the variables that the kubelet fills in; one that is not set stays as it is."""
    return re.sub(r"\$\((\w+)\)", lambda found: environment.get(found[1], found[0]), argument)
