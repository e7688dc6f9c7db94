"""Bad HTML, XML, JSON, tables, mail and manuals: nothing hidden trains, nothing is fetched, nothing takes minutes."""

import json
from collections.abc import Callable
from email.message import EmailMessage

from hostile import LEAK, PASSWD, SAID, Inputs, packed

TEXT = f"<p>{SAID}</p>"
LAUGHS = "<!DOCTYPE x [<!ENTITY a0 'ha'>" + "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 10))
QUADRATIC = f"<!DOCTYPE x [<!ENTITY e '{'x' * 100_000}'>]><x>{'&e;' * 20_000}</x>"


def message(depth: int) -> bytes:
    """A message with an attachment; `depth` messages deep."""
    made = EmailMessage()
    made["Subject"], made["From"] = f"Round {depth}", "a@example.org"
    made.set_content(SAID if depth else "Nobody answered the question about the gasket of hall nine.")
    if depth:
        made.add_attachment(message_of(depth - 1))
    made.add_attachment(b"MZ evil", maintype="application", subtype="x-msdownload", filename="../../evil.exe")
    return bytes(made)


def message_of(depth: int) -> EmailMessage:
    from email import message_from_bytes, policy

    return message_from_bytes(message(depth), policy=policy.default)  # type: ignore[return-value]


def multiparts(depth: int) -> bytes:
    """Parts within parts."""
    opened = "".join(f"--b{n}\nContent-Type: multipart/mixed; boundary=b{n + 1}\n\n" for n in range(depth))
    head = "Subject: parts\nContent-Type: multipart/mixed; boundary=b0\n\n"
    return f"{head}{opened}--b{depth}\n\n{SAID}\n".encode()


HIDDEN = (
    "<p hidden>obey1</p><p style='display:none'>obey2</p><p style='COLOR:red;Visibility : hidden'>obey3</p>"
    "<p style='font-size:0px'>obey4</p><p aria-hidden=true>obey5</p><!-- obey6 --><template>obey7</template>"
    "<p style='font-size:0.9em'>seen</p>"
)
HTML: Inputs = {
    "script.html": (f"{TEXT}<script>steal()</script><img src='{LEAK}'><link href='{LEAK}'>".encode(), "kept"),
    "hidden.html": (f"{TEXT}{HIDDEN}".encode(), "kept"),
    "refresh.html": (f"<meta http-equiv=refresh content='0;url={LEAK}'>{TEXT}<iframe src='{PASSWD}'>".encode(), "kept"),
    "nested.html": (b"<div>" * 3000 + SAID.encode(), "quarantined:unparseable:elements nested deeper"),
    "abyss.html": (b"<div>" * 100_000 + SAID.encode(), "quarantined:unparseable:elements nested deeper"),
    "abyss-of-lists.html": (b"<ul><li>" * 100_000 + SAID.encode(), "quarantined:unparseable:elements nested deeper"),
    "abyss-closed.html": (
        b"<b></x>" * 100_000 + SAID.encode() + b"</b>" * 100_000,
        "quarantined:unparseable:elements nested deeper",
    ),
    "rows.html": (b"<p>one<li>two<br>" * 60_000 + TEXT.encode(), "dropped:quality"),
    "attributes.html": (f"<p {' '.join(f'a{n}=1' for n in range(30_000))}>{SAID}".encode(), "kept"),
    "comments.html": (b"<!--" * 200_000 + SAID.encode(), "dropped:empty-text"),
    "program.html": (f"{TEXT}<script>{'if(i<n)x();' * 20_000}</script>".encode(), "kept"),
    "unclosed-script.html": (TEXT.encode() + b"<script>" * 100_000, "kept"),
}
XML: Inputs = {
    "entities.xml": (f"<!DOCTYPE x [<!ENTITY e SYSTEM '{PASSWD}'>]><x>&e; {SAID}</x>".encode(), "kept"),
    "laughs.xml": (f"{LAUGHS}]><x>&a9; {SAID}</x>".encode(), "kept"),
    "laughs.odt": (lambda: packed(("content.xml", f"{LAUGHS}]><x>&a9;</x>")), "quarantined:unparseable"),
    "quadratic.odt": (lambda: packed(("content.xml", QUADRATIC)), "quarantined:unparseable"),
    "external.odt": (
        lambda: packed(("content.xml", f"<!DOCTYPE x SYSTEM '{LEAK}'><x>{SAID}</x>")),
        "quarantined:unparseable",
    ),
}
DATA: Inputs = {
    "nested.json": (b"[" * 100_000, "quarantined:unparseable"),
    "nested-closed.json": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "quarantined:unparseable"),
    "odd.json": (json.dumps({"said": SAID, "n": float("nan"), "big": 10**400}).encode(), "kept"),
    "long-number.json": (b'{"said": "' + SAID.encode() + b'", "n": ' + b"9" * 1_000_000 + b"}", "dropped:quality"),
    "twice.json": (f'{{"a": "{SAID}", "a": "{SAID}"}}'.encode(), "kept"),
    "formula.csv": (f'a,b\n"=cmd|calc!A1","{SAID}"\nx\n"{SAID}",2,3,4\n'.encode(), "kept"),
    "quotes.csv": (b'"' * 300_001, "dropped:quality"),
    "wide.csv": (b"," * 3_000_000, "dropped:empty-text"),
    "cell.csv": (b'a,"' + b"x" * 3_000_000 + b'"', "quarantined:unparseable"),
    "nested.ipynb": (b'{"cells":' + b"[" * 100_000, "quarantined:unparseable"),
}
MAIL: Inputs = {
    "attachments.eml": (lambda: message(1), "kept"),
    "deep.eml": (lambda: multiparts(5000), "quarantined:nested-too-deep"),
    "parts.eml": (lambda: multiparts(40), "kept"),
    "headers.eml": (b"Subject: x\n" + b"X-Spam: y\n" * 200_000 + b"\n" + SAID.encode(), "kept"),
    "no-message.eml": (b"\n\n", "quarantined:unparseable"),
}
MANUALS: Inputs = {
    "include.1": (f".TH PUMP 1\n.so /etc/passwd\n.sy touch ran\n.SH NAME\n{SAID}\n".encode(), "kept"),
    "include.rst": (
        f"Pump\n====\n\n.. include:: /etc/passwd\n\n.. raw:: html\n   :url: {LEAK}\n\n{SAID}\n".encode(),
        "kept",
    ),
    "macros.1": (b".de a\n.a\n..\n.a\n.de b\n.a\n..\n" + b".b\n" * 1000 + SAID.encode(), "kept"),
}
CATALOGUE: Inputs = {**HTML, **XML, **DATA, **MAIL, **MANUALS}


def test_all_bad_markup_has_its_disposition(become: Callable):
    outcome = become(CATALOGUE)
    assert outcome.wrong(CATALOGUE) == {}
    everything = "\n".join(outcome.texts.values())
    for leaked in ("root:", "steal()", "obey", "MZ evil", "haha"):
        assert leaked not in everything
    assert "seen" in outcome.texts["hidden.html"]
    assert "=cmd|calc!A1" in outcome.texts["formula.csv"], "a formula is text"
    assert "evil.exe" in outcome.texts["attachments.eml"], "an attachment is named"
    assert "Round 0" in outcome.texts["attachments.eml"], "a forwarded message is read"
    for name in ("abyss.html", "abyss-of-lists.html", "abyss-closed.html"):
        assert outcome.costs[name].seconds < 2
