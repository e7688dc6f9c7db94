"""Notices reach a real web server and a real mail server on loopback; one that fails is tried again, and said."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from webhook import Webhook

from forge_dagster.automation import Email, Notifications
from resources import notifier
from resources.notifier import Notice, send

NOTICE = Notice(kind="run_failure", subject="forge: run 1 of models failed", facts={"run": "1", "steps": "corpus"})


class Mailbox:
    """An SMTP handler that keeps every message."""

    def __init__(self) -> None:
        self.envelopes: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.envelopes.append(envelope)
        return "250 taken"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, Email]]:
    box = Mailbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, Email(host="127.0.0.1", port=port, sender="forge@example.org", to=("a@example.org", "b@example.org"))
    controller.stop()


@pytest.fixture(autouse=True)
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier, "PAUSE", 0.01)


def test_both_are_told(webhook: Webhook, mailbox: tuple[Mailbox, Email]):
    box, email = mailbox
    said: list[str] = []
    assert send(NOTICE, Notifications(webhooks=(webhook.url,), email=email), say=said.append) == []
    assert webhook.bodies == [{"kind": "run_failure", "text": NOTICE.text, "facts": NOTICE.facts}]
    (envelope,) = box.envelopes
    assert envelope.rcpt_tos == ["a@example.org", "b@example.org"]
    assert b"Subject: forge: run 1 of models failed" in envelope.content
    assert b"steps: corpus" in envelope.content
    assert said == []


def test_a_target_that_fails_once_is_tried_again(webhook: Webhook):
    webhook.failures = 1
    said: list[str] = []
    assert send(NOTICE, Notifications(webhooks=(webhook.url,)), say=said.append) == []
    assert len(webhook.bodies) == 1
    assert said == ["127.0.0.1: HTTPStatusError 500, try 1 of 3"]


def test_a_target_that_stays_away_is_given_up_and_keeps_nothing_from_the_others(
    webhook: Webhook, mailbox: tuple[Mailbox, Email]
):
    box, email = mailbox
    webhook.failures = 99
    said: list[str] = []
    settings = Notifications(webhooks=(webhook.url, "http://127.0.0.1:9/x"), email=email, attempts=2)
    problems = send(NOTICE, settings, say=said.append)
    assert problems == ["127.0.0.1: HTTPStatusError 500", "127.0.0.1: ConnectError"]
    assert webhook.asked == 2
    assert len(said) == 4
    assert len(box.envelopes) == 1
    assert "secret-token" not in " ".join([*said, *problems]), "the path of a webhook is its password"


def test_a_mail_server_that_refuses_is_said(mailbox: tuple[Mailbox, Email]):
    _, email = mailbox
    closed = email.model_copy(update={"start_tls": True})
    problems = send(NOTICE, Notifications(email=closed, attempts=1), say=lambda _: None)
    assert problems == [f"127.0.0.1:{email.port}: SMTPNotSupportedError"]


def test_a_password_that_is_not_there_is_said(mailbox: tuple[Mailbox, Email], monkeypatch: pytest.MonkeyPatch):
    _, email = mailbox
    monkeypatch.delenv("FORGE_MAIL_PASSWORD", raising=False)
    named = email.model_copy(update={"user": "u", "password_variable": "FORGE_MAIL_PASSWORD"})
    problems = send(NOTICE, Notifications(email=named, attempts=1), say=lambda _: None)
    assert problems == [f"127.0.0.1:{email.port}: KeyError"]
