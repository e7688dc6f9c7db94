"""Tells people by webhook and e-mail; what is told names runs, recipes and figures, never text of a document."""

import os
import smtplib
import time
from collections.abc import Callable
from email.message import EmailMessage
from functools import partial

import dagster as dg
import httpx

from forge_dagster.automation import Email, Notifications, automation_file, load_automation
from forge_dagster.stage import FrozenModel

PAUSE = 1.0  # seconds before the second try; each later one waits twice as long


class Notice(FrozenModel):
    """What is told: a line, and the facts it is made of."""

    kind: str
    subject: str
    facts: dict[str, str]

    @property
    def text(self) -> str:
        """Subject and facts, a line each."""
        return "\n".join([self.subject, *(f"{name}: {value}" for name, value in self.facts.items())])


def send(notice: Notice, settings: Notifications, *, say: Callable[[str], None]) -> list[str]:
    """Tell every target, each `settings.attempts` times at most; return those that were not reached, and why.

    A target that fails keeps nothing from the others.
    """
    targets: list[tuple[str, Callable[[], None]]] = [
        (_without_secrets(url), partial(_post, url, notice, settings.timeout_seconds)) for url in settings.webhooks
    ]
    if settings.email is not None:
        where = f"{settings.email.host}:{settings.email.port}"
        targets.append((where, partial(_mail, settings.email, notice, settings.timeout_seconds)))
    return [problem for name, tell in targets if (problem := _try(name, tell, settings.attempts, say))]


def _try(name: str, tell: Callable[[], None], attempts: int, say: Callable[[str], None]) -> str | None:
    problem = ""
    for attempt in range(attempts):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            tell()
        except (httpx.HTTPError, smtplib.SMTPException, OSError, KeyError) as error:
            # The address of a webhook is its password, and httpx puts it into its messages.
            status = f" {error.response.status_code}" if isinstance(error, httpx.HTTPStatusError) else ""
            problem = f"{name}: {type(error).__name__}{status}"
            say(f"{problem}, try {attempt + 1} of {attempts}")
        else:
            return None
    return problem


def _without_secrets(url: str) -> str:
    return httpx.URL(url).host


def _post(url: str, notice: Notice, timeout: float) -> None:
    body = {"kind": notice.kind, "text": notice.text, "facts": notice.facts}
    httpx.post(url, json=body, timeout=timeout, trust_env=False).raise_for_status()


def _mail(email: Email, notice: Notice, timeout: float) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = email.sender, ", ".join(email.to), notice.subject
    message.set_content(notice.text)
    with smtplib.SMTP(email.host, email.port, timeout=timeout) as server:
        if email.start_tls:
            server.starttls()
        if email.user is not None and email.password_variable is not None:
            server.login(email.user, os.environ[email.password_variable])
        server.send_message(message)


class Notifier(dg.ConfigurableResource[None]):
    """Sends notices to the targets that automation.yaml names."""

    def tell(self, context: dg.OpExecutionContext, notice: Notice) -> None:
        """Raises dagster.Failure, naming the targets, if one could not be reached; the pipeline is none of its own."""
        settings = load_automation(automation_file()).notifications
        if not settings.webhooks and settings.email is None:
            context.log.warning("automation.yaml names nobody to tell: notifications.webhooks and .email are empty")
        problems = send(notice, settings, say=context.log.warning)
        if problems:
            raise dg.Failure(f"not told: {'; '.join(problems)}", allow_retries=False)
