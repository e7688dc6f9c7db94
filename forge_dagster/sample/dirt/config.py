"""Runbooks and configuration files that hold credentials, and such that hold none."""

from forge_dagster.sample.dirt.credentials import ANNOUNCED, VALUES
from forge_dagster.sample.dirt.decoys import technical
from forge_dagster.sample.dirt.marks import mark
from forge_dagster.sample.dirt.page import Page, Truth, wordings
from forge_dagster.sample.draw import Cycle, Draw

USERS = ("deploy", "orders_app", "reader", "svc-backup")
HOSTS = ("db.example.net", "git.example.org", "queue.internal.example", mark("IP_ADDRESS", "10.20.30.40"))
ASSIGNABLE = ("password", "generic-key")
CONFIGS = ("conf", "env", "yaml", "properties", "sh", "ini", "py")


class Config:
    """Writes the pages of one unit; every kind comes before any comes again."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._kinds = Cycle((*VALUES, *ANNOUNCED, *ASSIGNABLE, "url-password"), draw)
        words = wordings("secrets")
        self._lines = {name: Cycle(tuple(words[name]), draw) for name in words}

    def page(self) -> Page:
        """The next page: a runbook or a configuration file."""
        draw = self._draw
        runbook = draw.chance(40)
        lines = [self._secret(runbook) for _ in range(draw.between(3, 5))]
        lines += [self._lines["harmless"].next() for _ in range(draw.between(2, 4))]
        lines += [self._lines["prose"].next() for _ in range(4 if runbook else 1)]
        lines.append(technical(draw))
        lines = draw.shuffled(lines)
        how, separator = ("runbook", "\n\n") if runbook else ("configuration", "\n")
        extension = draw.pick(("md", "txt")) if runbook else draw.pick(CONFIGS)
        return Page(
            "runbook" if runbook else "settings", extension, separator.join(lines) + "\n", Truth(kind="secret", how=how)
        )

    def harmless(self) -> Page:
        """A technical page without anything to redact."""
        draw = self._draw
        lines = [technical(draw) for _ in range(draw.between(8, 14))]
        lines += [self._lines["harmless"].next() for _ in range(3)]
        return Page(
            "technical", draw.pick(("md", "txt")), "\n\n".join(draw.shuffled(lines)) + "\n", Truth(kind="technical")
        )

    def _secret(self, runbook: bool) -> str:
        draw, kind = self._draw, self._kinds.next()
        make = VALUES.get(kind) or ANNOUNCED[kind]
        value = mark(kind, make(draw))
        if kind.endswith("-key") and "\n" in value:
            return f"```\n{value}\n```" if runbook else value
        form = "url" if kind == "url-password" else ("says" if runbook else "assigned") if kind in ANNOUNCED else "bare"
        return self._lines[form].next().format(v=value, user=draw.pick(USERS), host=draw.pick(HOSTS))
