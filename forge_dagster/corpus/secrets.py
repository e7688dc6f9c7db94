"""Secrets: keys and tokens by the form their issuer gives them, passwords by what announces them."""

import math
import re
from collections import Counter

A = r"(?<![A-Za-z0-9])"
Z = r"(?![A-Za-z0-9])"
FORMS = {
    "aws-access-key": rf"{A}(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AROA)[A-Z2-7]{{16}}{Z}",
    "google-api-key": rf"{A}AIza[\w-]{{35}}(?![\w-])",
    "google-oauth": r"(?<!\w)(?:ya29\.[\w-]{20,}|GOCSPX-[\w-]{28})(?![\w-])",
    "github-token": rf"{A}(?:gh[pousr]_[A-Za-z0-9]{{36,}}|github_pat_\w{{22,}}){Z}",
    "gitlab-token": rf"{A}gl(?:pat|ptt|rt|cbt|dt|ft|soat)-[\w-]{{20,}}(?![\w-])",
    "slack-token": rf"{A}xox[abeoprs]-[A-Za-z0-9-]{{10,}}{Z}",
    "slack-webhook": r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,}",
    "stripe-key": rf"{A}(?:[sr]k_(?:live|test)|whsec)_[A-Za-z0-9]{{16,}}{Z}",
    "twilio-key": rf"{A}(?:SK|AC)[0-9a-f]{{32}}{Z}",
    "sendgrid-key": rf"{A}SG\.[\w-]{{16,32}}\.[\w-]{{16,64}}(?![\w-])",
    "npm-token": rf"{A}npm_[A-Za-z0-9]{{36}}{Z}",
    "pypi-token": rf"{A}pypi-[\w-]{{50,}}(?![\w-])",
    "ai-key": rf"{A}(?:sk-(?:ant-|proj-|svcacct-)?[\w-]{{20,}}|hf_[A-Za-z0-9]{{30,}}|gsk_[A-Za-z0-9]{{40,}})(?![\w-])",
    "telegram-token": rf"{A}\d{{8,10}}:AA[\w-]{{32,34}}(?![\w-])",
    "jwt": rf"{A}eyJ[\w-]{{10,}}\.eyJ[\w-]{{10,}}\.[\w-]{{10,}}(?![\w-])",
    "azure-key": r"(?:AccountKey|SharedAccessKey|sig)=[A-Za-z0-9+/%]{40,90}={0,2}",
    "digitalocean-token": rf"{A}do[opr]_v1_[a-f0-9]{{64}}{Z}",
    "shopify-token": rf"{A}shp(?:at|ca|pa|ss)_[a-fA-F0-9]{{32}}{Z}",
    "mailgun-key": rf"{A}key-[0-9a-f]{{32}}{Z}",
    "databricks-token": rf"{A}dapi[a-h0-9]{{32}}{Z}",
    "vault-token": rf"{A}hv[sb]\.[\w-]{{20,}}(?![\w-])",
    "age-key": rf"{A}AGE-SECRET-KEY-1[A-Z0-9]{{58}}{Z}",
    "discord-token": rf"{A}[MNO][\w-]{{23,25}}\.[\w-]{{6}}\.[\w-]{{27,38}}(?![\w-])",
    "private-key": r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-(?!----)){20,20000}-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----",
    "password-hash": r"(?<![\w$])\$(?:2[aby]\$\d\d\$[./A-Za-z0-9]{53}|(?:1|5|6|apr1|y|argon2id?)\$[^\s:$]{1,80}\$[^\s:]{16,120})",
}
MARKS = {
    "aws-access-key": ("AKIA", "ASIA", "ABIA", "ACCA", "AGPA", "AIDA", "AROA"), "google-api-key": ("AIza",),
    "google-oauth": ("ya29.", "GOCSPX-"), "github-token": ("gh", ), "gitlab-token": ("gl",),
    "slack-token": ("xox",), "slack-webhook": ("hooks.slack",), "stripe-key": ("k_live_", "k_test_", "whsec_"),
    "twilio-key": ("SK", "AC"), "sendgrid-key": ("SG.",), "npm-token": ("npm_",), "pypi-token": ("pypi-",),
    "ai-key": ("sk-", "hf_", "gsk_"), "telegram-token": (":AA",), "jwt": ("eyJ",),
    "azure-key": ("Key=", "sig="), "digitalocean-token": ("_v1_",), "shopify-token": ("shp",),
    "mailgun-key": ("key-",), "databricks-token": ("dapi",), "vault-token": ("hvs.", "hvb."),
    "age-key": ("AGE-SECRET",), "discord-token": (".",), "private-key": ("PRIVATE KEY",), "password-hash": ("$",),
}  # fmt: skip
COMPILED = {name: re.compile(pattern) for name, pattern in FORMS.items()}
URL = re.compile(r"""://[^\s/:@"'<>]{0,60}:(?P<value>[^\s/@"'<>\[]{3,120})@[\w.\[]""")
ASSIGNED = re.compile(
    r"""(?:pass(?:word|wd|phrase|wort)?|pwd|kennwort|mot\ de\ passe|secret(?:[_-]?(?:access[_-]?)?key)?|token|auth[_-]?token|
    api[_-]?(?:key|token|secret)|access[_-]?(?:key|token)|client[_-]?secret|private[_-]?key|encryption[_-]?key|
    preshared[_-]?key|account[_-]?key|signing[_-]?key|webhook[_-]?secret|credentials?)
    ["']?\s{0,3}(?:=>|:=|=|:|\s(?:is|ist|lautet)\s)\s{0,3}(?:bearer\s)?["'`]?(?P<value>[^\s"'`,;<>{}()\[\]]{6,200})""",
    re.IGNORECASE | re.VERBOSE,
)
BEARER = re.compile(
    r"\b(?:authorization:\s{0,2})?(?:bearer|basic)\s(?P<value>[A-Za-z0-9._~+/-]{20,500}={0,2})(?![\w=])", re.IGNORECASE
)
PLACEHOLDER = re.compile(
    r"(?:change|example|dummy|sample|placeholder|your|insert|enter|todo|none|null|true|false|redacted|secret$|password|passwd"
    r"|x{3}|\*{3}|\.{3}|#{3}|<|>|\$|%|\{|/|~|\\|env|file|prompt|function|string|optional|required|default|hidden)",
    re.IGNORECASE,
)
LEAST_BITS = 2.4  # entropy of a value's characters, in bits; words and repeated characters have less


def _bits(value: str) -> float:
    counts = Counter(value)
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values())


def _looks_secret(value: str) -> bool:
    """Whether an assigned value is more than a word, a placeholder or a name of something."""
    if PLACEHOLDER.search(value) or len(value) < 6:
        return False
    kinds = sum(bool(re.search(kind, value)) for kind in (r"[a-z]", r"[A-Z]", r"\d", r"[^\w]"))
    if value.count(".") > 1 or value.endswith((".", ":", ")")):
        kinds -= 1  # a dotted name, or the end of a sentence
    return _bits(value) >= LEAST_BITS and (kinds >= 3 or (kinds >= 2 and bool(re.search(r"\d", value))))


def spans(text: str) -> list[tuple[str, int, int]]:
    """Kind, start and end of everything found, in characters; they may overlap."""
    found = []
    for name, pattern in COMPILED.items():
        if any(mark in text for mark in MARKS[name]):
            found += [(name, *match.span()) for match in pattern.finditer(text)]
    if "://" in text:
        found += [
            ("url-password", *match.span("value"))
            for match in URL.finditer(text)
            if not PLACEHOLDER.search(match["value"])
        ]
    lowered = text.lower()
    if any(word in lowered for word in ("pass", "pwd", "secret", "token", "key", "credential", "kennwort")):
        for match in ASSIGNED.finditer(text):
            if _looks_secret(match["value"]):
                found.append(("assigned-secret", *match.span("value")))
    if "bearer" in lowered or "basic" in lowered:
        found += [("bearer-token", *m.span("value")) for m in BEARER.finditer(text) if _looks_secret(m["value"])]
    return found
