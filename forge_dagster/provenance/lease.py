"""One machine at a time holds a key of a shared store: an object with its owner, put anew while the owner lives."""

import os
import platform
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pydantic import ValidationError

from forge_dagster.errors import BusyError, IntegrityError, RemoteError
from forge_dagster.provenance.bucket import Bucket, Seen
from forge_dagster.stage import FrozenModel

LEASE = 90.0
"""Seconds after its last renewal that a lease ends, by the clock of the server: its owner died, or cannot be heard."""
RENEW_EVERY = 20.0
LOOK_EVERY = 2.0
"""Seconds between two looks at a lease that somebody else holds."""


class Held(FrozenModel):
    """What a lease says; an owner that is done leaves it without one."""

    owner: str | None
    renewals: int = 0


@contextmanager
def lease(bucket: Bucket, name: str, *, what: str, wait: float, waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold the lease `name`, and renew it while the body works.

    An owner that is not heard for LEASE seconds has lost it: both then work, their versions are equal or kept beside
    each other, and pointers and ledger still move one step at a time. `wait` in seconds; `waiting` is called once.
    Raises BusyError when the time is over, RemoteError if the store is down.
    """
    owner = f"process {os.getpid()} of {platform.node()} ({secrets.token_hex(8)})"
    deadline, told = time.monotonic() + wait, False
    while True:
        seen = bucket.read(name)
        holder = None if seen is None or seen.age > LEASE else _held(bucket, name, seen).owner
        if holder is None and bucket.swap(name, _data(Held(owner=owner)), seen):
            break
        if time.monotonic() >= deadline:
            raise BusyError(
                f"{what} is in the making by {holder or 'another machine'}",
                rule=f"one run at a time makes an artifact; waited {wait:.0f} s",
                mend="wait for that run, or stop it, then run the same command again",
            )
        if holder is not None:
            if not told:
                waiting(f"waiting for {what}, in the making by {holder}")
                told = True
            time.sleep(LOOK_EVERY)
    done = threading.Event()
    renewing = threading.Thread(target=_renew, args=(bucket, name, owner, done), name=f"lease of {what}", daemon=True)
    renewing.start()
    try:
        yield
    finally:
        done.set()
        renewing.join()
        with suppress(RemoteError):  # what was done stands, and a lease that is not given back ends by itself
            _put_over_own(bucket, name, owner, Held(owner=None))


def _renew(bucket: Bucket, name: str, owner: str, done: threading.Event) -> None:
    renewals = 0
    while not done.wait(RENEW_EVERY):
        renewals += 1
        with suppress(RemoteError):  # the next try may reach it before the lease ends
            if not _put_over_own(bucket, name, owner, Held(owner=owner, renewals=renewals)):
                return


def _put_over_own(bucket: Bucket, name: str, owner: str, held: Held) -> bool:
    """Put what the lease says, if it is still the owner's; return whether it is."""
    seen = bucket.read(name)
    return seen is not None and _held(bucket, name, seen).owner == owner and bucket.swap(name, _data(held), seen)


def _held(bucket: Bucket, name: str, seen: Seen) -> Held:
    try:
        return Held.model_validate_json(seen.data)
    except ValidationError as error:
        raise IntegrityError(
            f"{bucket.url_of(name)} is no lease", mend="see who else writes to this bucket, then delete it"
        ) from error


def _data(held: Held) -> bytes:
    return held.model_dump_json().encode() + b"\n"
