"""The one exception tree; every message names the value, the rule and the mend.

ForgeError
├── UserError              the input or the command is wrong (exit code 2)
│   ├── RecipeError        a recipe, source or policy file breaks a rule
│   ├── SourceError        a source of documents is missing, empty or unreadable
│   ├── DataError          the documents do not support what is asked of them
│   └── WeightsError       open weights are missing, unreadable, unsafe or of a kind that is not known
├── IntegrityError         bytes differ from their record (exit code 3)
├── VerdictError           a check or a gate refused an artifact (exit code 4)
├── QuotaError             an agent asks for more than its quota, or for what a person alone does (exit code 7)
├── BusyError              another run holds the artifact (exit code 5)
├── StorageError           the disk is full or refuses a write (exit code 6)
├── RemoteError            a remote of versions, or the shared store, is down, too slow, full or refuses (exit code 69)
├── WorkerDied             a process of a training died; the same command goes on from its checkpoint (exit code 71)
└── InterruptedRun         stopped by a signal; the same command resumes (exit code 75)
"""

from typing import Any


class ForgeError(Exception):
    """Root of every error this project raises; `exit_code` is what `forge` returns."""

    exit_code = 1

    def __init__(self, problem: str, *, rule: str = "", mend: str = "") -> None:
        self.problem, self.rule, self.mend = problem, rule, mend
        parts = [problem]
        if rule:
            parts.append(f"Rule: {rule}")
        if mend:
            parts.append(f"Mend: {mend}")
        super().__init__("\n".join(parts))


class UserError(ForgeError):
    """The input or the command is wrong."""

    exit_code = 2


class RecipeError(UserError):
    """A recipe, source or policy file breaks a rule."""


class SourceError(UserError):
    """A source of documents is missing, empty or unreadable."""


class DataError(UserError):
    """The documents do not support what is asked of them."""


class WeightsError(UserError):
    """Open weights are missing, unreadable, unsafe or of a kind that is not known."""


class IntegrityError(ForgeError):
    """Bytes differ from their record."""

    exit_code = 3


class VerdictError(ForgeError):
    """A check or a gate refused an artifact; `findings` holds every judgement as plain data."""

    exit_code = 4

    def __init__(
        self, problem: str, *, rule: str = "", mend: str = "", findings: list[dict[str, Any]] | None = None
    ) -> None:
        super().__init__(problem, rule=rule, mend=mend)
        self.findings = findings or []


class QuotaError(ForgeError):
    """An agent asks for more than its quota, or for what a person alone does."""

    exit_code = 7


class BusyError(ForgeError):
    """Another run holds the artifact in the making."""

    exit_code = 5


class StorageError(ForgeError):
    """The disk is full or refuses a write."""

    exit_code = 6


class RemoteError(ForgeError):
    """A remote of versions, or the shared store, is down, too slow, full or refuses (EX_UNAVAILABLE); what is here
    stands."""

    exit_code = 69


class WorkerDied(ForgeError):
    """One of the processes that train together died, and the others were stopped (EX_OSERR)."""

    exit_code = 71


class InterruptedRun(ForgeError):
    """Stopped by a signal; the same command goes on where it stood (EX_TEMPFAIL)."""

    exit_code = 75
