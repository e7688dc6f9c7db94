"""Who or what starts a run: a person, a schedule, a sensor or an agent, as `KIND:NAME`."""

import getpass
import os
from collections.abc import Mapping

from forge_dagster.errors import UserError

KINDS = {"user": "person", "schedule": "schedule", "sensor": "sensor", "agent": "agent"}
"""What comes before the colon, and the kind of actor that it says."""
VARIABLE = "FORGE_ACTOR"
HEADER_VARIABLE = "FORGE_ACTOR_HEADER"
"""Names the header in which a login before the web server tells who asks; where it is not set none is believed."""


def actor(environment: Mapping[str, str] = os.environ) -> str:
    """Who starts a run from this process: FORGE_ACTOR, else the login name. Raises UserError on a kind that is none.

    The operating system's account is all that stands behind it.
    """
    given = environment.get(VARIABLE)
    if not given:
        return f"user:{getpass.getuser()}"
    kind, colon, name = given.partition(":")
    if kind not in KINDS or not colon or not name.strip():
        raise UserError(
            f"{VARIABLE} = {given!r}",
            rule=f"KIND:NAME, and a kind is one of {', '.join(KINDS)}",
            mend="e.g. FORGE_ACTOR=agent:nightly-tuner",
        )
    return given


def kind_of(said: str) -> str:
    """Kind of an actor: person, schedule, sensor, agent; `unknown` if it is none of these."""
    return KINDS.get(said.partition(":")[0], "unknown")
