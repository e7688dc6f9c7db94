"""Energy of a piece of work, and the method by which it is known: counters of the hardware, an estimate, or nothing.

RAPL counts the packages of the whole machine and NVML its GPUs, other programs' share with them. An estimate is
processor seconds times the watts that somebody states for one busy hardware thread.
"""

import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from forge_dagster.errors import UserError
from forge_dagster.provenance.nvml import gpu_joules

POWERCAP = Path("/sys/class/powercap")
WATTS = "FORGE_CORE_WATTS"
SAMPLED_EVERY = 20.0  # seconds; a package at 500 W turns its counter of 262 kJ over in 500 s


class Rapl:
    """The energy counters of the processor packages (powercap, intel-rapl:N); AMD's are under the same name."""

    def __init__(self, root: Path = POWERCAP) -> None:
        self.counters = [path for path in sorted(root.glob("intel-rapl:*/energy_uj")) if _is_package(path)]
        self.last = {path: value for path in self.counters if (value := _microjoules(path)) is not None}
        self.total = 0.0
        self.readable = bool(self.counters) and len(self.last) == len(self.counters)

    def joules(self) -> float | None:
        """What was used since the last sample; None where nothing is counted or may be read."""
        before = self.total
        self.sample()
        return self.total - before if self.readable else None

    def sample(self) -> None:
        """Add what was used since the last sample; a counter that turned over began again at zero."""
        for path, before in self.last.items():
            now = _microjoules(path)
            if now is None:
                self.readable = False
                return
            turned = 0 if now >= before else _microjoules(path.with_name("max_energy_range_uj")) or 0
            self.total += (now - before + turned) / 1e6
            self.last[path] = now


def _is_package(path: Path) -> bool:
    """Whether a counter is of a package: those of its parts, intel-rapl:0:1, are in that one."""
    return path.parent.name.count(":") == 1


def _microjoules(path: Path) -> int | None:
    """A counter; none where it may not be read, as for all but root since CVE-2020-8694."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


@contextmanager
def measured(into: dict[str, Any], *, gpu: bool, root: Path = POWERCAP) -> Iterator[None]:
    """Measure what the body uses; write `joules`, `method`, `scope` and `processor_seconds` into a mapping.

    `joules` is null where nothing is known, and `method` says why. With `gpu` the GPUs count too.
    """
    watts = core_watts()
    rapl, begun, gpu_begun = Rapl(root), _processor_seconds(), gpu_joules() if gpu else None
    stop = threading.Event()
    sampler = threading.Thread(target=_follow, args=(rapl.sample, stop), name="energy", daemon=True)
    if rapl.readable:
        sampler.start()
    try:
        yield
    finally:
        stop.set()
        if rapl.readable:
            sampler.join()
            rapl.sample()
        seconds = _processor_seconds() - begun
        gpu_ended = gpu_joules() if gpu_begun is not None else None
        on_gpu = None if gpu_begun is None or gpu_ended is None else gpu_ended - gpu_begun
        into |= told(rapl.total if rapl.readable else None, on_gpu, seconds, watts, gpu=gpu)


def _follow(sample: Callable[[], None], stop: threading.Event) -> None:
    while not stop.wait(SAMPLED_EVERY):
        sample()


def told(
    packages: float | None, on_gpu: float | None, seconds: float, watts: float | None, *, gpu: bool
) -> dict[str, Any]:
    """What is said of energy: joules of packages and GPUs as counted, an estimate in place of what nobody counted."""
    processor, how = packages, "RAPL" if packages is not None else ""
    if processor is None and watts is not None:
        processor, how = seconds * watts, f"estimate: processor seconds x {watts:g} W a busy thread ({WATTS})"
    said: dict[str, Any] = {"processor_seconds": round(seconds, 2)}
    missing = [] if processor is not None else [f"processor: no readable RAPL counter, and {WATTS} is not set"]
    missing += ["GPU: NVML does not say"] if gpu and on_gpu is None else []
    if missing:
        return {**said, "joules": None, "method": f"not measured ({'; '.join(missing)})", "scope": None}
    methods = [how, *(["NVML"] if gpu else [])]
    scope = "this step's processes" if packages is None and not gpu else "the whole machine"
    return {
        **said,
        "joules": round((processor or 0.0) + (on_gpu or 0.0), 1),
        "method": " + ".join(methods),
        "scope": scope,
    }


def core_watts(environment: Mapping[str, str] = os.environ) -> float | None:
    """Watts of one busy hardware thread, as FORGE_CORE_WATTS states. Raises UserError on what is no such number."""
    given = environment.get(WATTS)
    if given is None:
        return None
    try:
        watts = float(given)
    except ValueError:
        watts = math.nan
    if not 0 < watts < 1000:
        raise UserError(
            f"{WATTS} = {given!r}",
            rule="watts of one busy hardware thread, such as TDP over threads: above 0, under 1000",
            mend="correct or unset the variable",
        )
    return watts


def _processor_seconds() -> float:
    """Of this process, of its children that ended, and of those that still work."""
    times = os.times()
    alive = 0.0
    for child in psutil.Process().children(recursive=True):
        try:
            used = child.cpu_times()
        except psutil.Error:
            continue  # it ended meanwhile; its parent has its time
        alive += used.user + used.system + used.children_user + used.children_system
    return times.user + times.system + times.children_user + times.children_system + alive
