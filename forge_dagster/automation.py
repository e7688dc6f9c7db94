"""What runs by itself, and whom it tells: the type behind `automation.yaml`, beside dagster.yaml."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, ValidationError, model_validator

from forge_dagster.home import PROJECT
from forge_dagster.source import CRON, explain, read_yaml
from forge_dagster.stage import FrozenModel


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("a time zone of the IANA database, e.g. Europe/Stockholm") from error
    return name


def _web_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an address begins with http:// or https:// and names a host")
    return url


Cron = Annotated[str, Field(pattern=CRON)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
WebAddress = Annotated[str, AfterValidator(_web_address)]


class Schedule(FrozenModel):
    """When one job starts by the clock."""

    enabled: bool = False
    cron: Cron
    time_zone: TimeZone = Field(default="UTC", description="of the cron expression; its summer time is kept")


class Sensor(FrozenModel):
    """How often one sensor looks."""

    enabled: bool = False
    every_seconds: int = Field(ge=1, description="least time between two looks")


class Schedules(FrozenModel):
    """Work by the clock."""

    nightly_refresh: Schedule = Schedule(cron="0 2 * * *")
    weekly_evaluation: Schedule = Schedule(cron="0 4 * * 0")
    monthly_retrain: Schedule = Schedule(cron="0 3 1 * *")


class Sensors(FrozenModel):
    """Work by what was seen."""

    source_changes: Sensor = Sensor(every_seconds=60)
    stale_artifacts: Sensor = Sensor(every_seconds=30)
    retraining: Sensor = Sensor(every_seconds=60)
    run_failures: Sensor = Sensor(every_seconds=30)
    scorecard_regressions: Sensor = Sensor(every_seconds=60)
    stale_runs: Sensor = Sensor(enabled=True, every_seconds=10)


class Email(FrozenModel):
    """A mail server that takes notifications, and who gets them."""

    host: str
    port: int = Field(default=25, ge=1, le=65535)
    sender: str = Field(pattern=r"^[^\s@]+@[^\s@]+$")
    to: tuple[Annotated[str, Field(pattern=r"^[^\s@]+@[^\s@]+$")], ...] = Field(min_length=1)
    start_tls: bool = False
    user: str | None = None
    password_variable: str | None = Field(default=None, description="environment variable that holds the password")

    @model_validator(mode="after")
    def _whole_login(self) -> "Email":
        if (self.user is None) != (self.password_variable is None):
            raise ValueError("user and password_variable come together")
        return self


class Notifications(FrozenModel):
    """Where notifications go; nowhere unless a person names it."""

    webhooks: tuple[WebAddress, ...] = ()
    email: Email | None = None
    attempts: int = Field(default=3, ge=1, le=10, description="tries of one target before it is given up")
    timeout_seconds: float = Field(default=10, gt=0, le=60, description="of one try")


class OpenLineage(FrozenModel):
    """Where OpenLineage events go; nowhere unless a person names it."""

    file: str | None = Field(default=None, min_length=1, description="JSON lines; relative to FORGE_HOME")
    url: WebAddress | None = Field(
        default=None, description="what events are posted to, e.g. http://marquez.example.org:5000/api/v1/lineage"
    )
    namespace: str = Field(default="forge-dagster", min_length=1, description="of jobs and datasets")
    key_variable: str | None = Field(default=None, description="environment variable that holds the key of the url")
    timeout_seconds: float = Field(default=5, gt=0, le=60, description="of one event, which the run waits for")


class Automation(FrozenModel):
    """Schedules, sensors, notifications and events of one installation."""

    schedules: Schedules = Schedules()
    sensors: Sensors = Sensors()
    notifications: Notifications = Notifications()
    openlineage: OpenLineage = OpenLineage()


def automation_file(environment: Mapping[str, str] = os.environ) -> Path:
    """The file of FORGE_AUTOMATION, else automation.yaml of the project."""
    return Path(environment.get("FORGE_AUTOMATION") or PROJECT / "automation.yaml").resolve()


def load_automation(path: Path) -> Automation:
    """Read the settings. Raises RecipeError, naming key and rule, if the file breaks one."""
    try:
        return Automation.model_validate(read_yaml(path))
    except ValidationError as error:
        raise explain(path, error) from error
