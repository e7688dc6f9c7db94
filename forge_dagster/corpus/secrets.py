"""Secrets: keys and tokens by the form their issuer gives them, passwords by what announces them."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

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
    "static-key": r"-----BEGIN OpenVPN Static key V1-----(?:[^-]|-(?!----)){20,4000}-----END OpenVPN Static key V1-----",
    "putty-key": r"Private-Lines: \d{1,4}\n(?:[A-Za-z0-9+/=]{1,80}\n?){1,500}",
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
    "age-key": ("AGE-SECRET",), "discord-token": (".",), "private-key": ("PRIVATE KEY",), "static-key": ("Static key",),
    "putty-key": ("Private-Lines",), "password-hash": ("$",),
}  # fmt: skip
COMPILED = {name: re.compile(pattern) for name, pattern in FORMS.items()}
URL = re.compile(r"""://[^\s/:@"'<>]{0,60}:(?P<value>[^\s/@"'<>\[]{3,120})@[\w.\[]""")
PASSWORD = r"(?:(?:pass(?:word|wd|phrase|wort|code)|kennwort|mot\ de\ passe|contraseña|lösenord|wachtwoord|parola|(?<![^\W\d_])(?:pass|pwd|psk|wep[_-]?key\d?))\b)"
NAMED = rf"""(?:{PASSWORD}|pass(?:word|wd|phrase|wort|code)|secret(?:[_-]?(?:access[_-]?)?key)?|token|auth[_-]?token|
    api[_ -]?(?:key|token|secret)|access[_-]?(?:key|token)|client[_-]?secret|private[_-]?key|encryption[_-]?key|
    pre-?shared[_-]?key|account[_-]?key|signing[_-]?key|webhook[_-]?secret|credentials?)"""
VALUE = r"""[^\s"'`,;<>{}()\[\]]"""
ASSIGNED = re.compile(
    rf"""{NAMED}
    (?:["'*]{{0,3}}\s{{0,3}}(?:=>|:=|=|:)\s{{0,3}}(?:bearer\s)?|["']\s+value=
      |\s(?:[\w.-]+\s){{0,6}}?(?:is|ist|lautet|est|es|è|är)\s(?:now\s|jetzt\s)?)["'`*]{{0,2}}(?P<value>{VALUE}{{6,200}})""",
    re.IGNORECASE | re.VERBOSE,
)
"""A value after a mark, or after the verb of a sentence whose subject is a password."""
QUOTED = re.compile(
    rf"""{PASSWORD}["']?\s{{0,3}}(?:=>|:=|=|:)\s{{0,3}}(?P<quote>["'])(?P<value>{VALUE}{{4,64}})(?P=quote)""",
    re.IGNORECASE | re.VERBOSE,
)
"""A password as a literal, which may be a weak one."""
FOLLOWING = re.compile(
    rf"""(?:{PASSWORD}|requirepass|identified\s+by)\s+["'`]?(?P<value>{VALUE}{{8,100}})
    |(?:\s-u|\s--user)[\s=]["']?[^\s:"'/]{{1,60}}:(?P<pair>{VALUE}{{6,100}})
    |\b(?:credentials?|login|zugangsdaten|identifiants)\b[^\n/]{{0,40}}\s/\s(?P<second>{VALUE}{{6,100}})""",
    re.IGNORECASE | re.VERBOSE,
)
"""A value right after the word, as in netrc or SQL; user and password of a command; `user / password`."""
SETTING = re.compile(
    r"^[ \t]*[\w.]*[-_.](?:psk|passphrase|password|passwd|secret|wep-key\d?)[ \t]+(?P<value>\S{6,100})[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
"""A line of a settings file: a compound name and its value, nothing else."""
WIRELESS = re.compile(r"\b(?:psk|wep_?key\d?)[ \t]*[=:][ \t]*[\"']?(?P<value>[^\s\"'<>${}]{5,64})", re.IGNORECASE)
SPEAKS_OF_SECRETS = re.compile(
    r"password|passwort|passwd|secret|token|\bkeys?\b|api.?key|credential|revoke|zugangsdaten|mot de passe",
    re.IGNORECASE,
)
RANDOM = re.compile(r"(?<![\w+/.:@-])[A-Za-z0-9_+/-]{16,128}={0,2}(?![\w+/=@-]|\.\w)")
RANDOM_CHANGES = 0.4  # of a random string's neighbours 0.58 differ in kind; of a name in camel case a third
BEARER = re.compile(
    r"\b(?:authorization:\s{0,2})?(?:bearer|basic)\s(?P<value>[A-Za-z0-9._~+/-]{20,500}={0,2})(?![\w=])", re.IGNORECASE
)
MAY_BEAR = re.compile(r"bearer|basic", re.IGNORECASE)
PLACEHOLDER = re.compile(
    r"(?<![a-z])(?:change|example|dummy|sample|placeholder|your|insert|enter|todo|none|null|true|false|redacted|secret$"
    r"|password|passwd|(?:env|file|prompt|function|string|optional|required|default|hidden)(?![a-z]))"
    r"|x{3}|\*{3}|\.{3}|#{3}|<|>|\$[({A-Za-z_]|%[({A-Za-z]|\{|^[/~.]|/.*/|\\",
    re.IGNORECASE,
)
DIGEST = re.compile(r"(?:sha\d{1,3}|md5)[-:]", re.IGNORECASE)
WORDS = (
    "pass", "pwd", "secret", "token", "key", "credential", "kennwort", "mot de passe", "psk", "contraseña", "lösenord",
    "wachtwoord", "parola", "identified", "login", "zugangsdaten", "identifiants", "-u ", "--user", "revok",
)  # fmt: skip
"""A text with none of these announces no secret."""
LEAST_BITS = 2.4  # entropy of a value's characters, in bits; words and repeated characters have less


def _bits(value: str) -> float:
    counts = Counter(value)
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values())


def _looks_secret(value: str) -> bool:
    """Whether an assigned value is more than a word, a placeholder or a name of something."""
    if PLACEHOLDER.search(value) or DIGEST.match(value) or len(value) < 6:
        return False
    kinds = sum(bool(re.search(kind, value)) for kind in (r"[a-z]", r"[A-Z]", r"\d", r"[^\w]"))
    if value.count(".") > 1 or value.endswith((".", ":", ")")):
        kinds -= 1  # a dotted name, or the end of a sentence
    has_order = kinds < 3 and not re.search(r"\d", value) and (len(value) < 12 or _changes(value) < RANDOM_CHANGES)
    return kinds >= 2 and _bits(value) >= LEAST_BITS and not has_order


def _names_one(value: str) -> bool:
    """Whether a literal is a placeholder or the name of something."""
    return bool(PLACEHOLDER.search(value)) or ("_" in value and value.islower() and not any(map(str.isdigit, value)))


def _kinds(value: str) -> list[str]:
    return ["d" if c.isdigit() else "u" if c.isupper() else "l" if c.islower() else "o" for c in value]


def _changes(value: str) -> float:
    """Share of neighbours that differ in kind."""
    return sum(first != second for first, second in pairwise(_kinds(value))) / len(value)


def _is_random(value: str) -> bool:
    """Letters of both cases and digits in no order that a name has; hexadecimal digests have one case."""
    kinds = _kinds(value)
    return {"d", "u", "l"} <= set(kinds) and kinds.count("o") <= 3 and _changes(value) >= RANDOM_CHANGES


def _unannounced(line: str) -> Iterator[tuple[int, int]]:
    """Random strings of a line that speaks of secrets; a public key or a digest names itself."""
    for match in RANDOM.finditer(line):
        if _is_random(match[0]) and not re.search(
            r"(?:ssh-\w+|ecdsa-[\w-]+|sha\d+[-:]|\bpublic\b.*)\s*$", line[: match.start()], re.IGNORECASE
        ):
            yield match.span()


def _speaking(text: str) -> Iterator[tuple[int, int]]:
    """Parts of a text that may announce a secret: lines with one of WORDS, each with the line after it."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a letter whose small form is longer: places would be off
        yield 0, len(text)
        return
    begins = set()
    for word in WORDS:
        at = lowered.find(word)
        while at >= 0:
            begins.add(text.rfind("\n", 0, at) + 1)
            end = text.find("\n", at)
            at = lowered.find(word, end) if end >= 0 else -1
    first = last = -1
    for begin in sorted(begins):
        line_end = text.find("\n", begin)
        end = text.find("\n", line_end + 1) if line_end >= 0 else -1
        if begin > last:
            if last >= 0:
                yield first, last
            first = begin
        last = len(text) if end < 0 else end
    if last >= 0:
        yield first, last


def _announced(text: str, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Values of a part of a text that what stands around them gives away."""
    for match in ASSIGNED.finditer(text, start, end):
        if _looks_secret(match["value"]):
            yield "assigned-secret", *match.span("value")
    for pattern in (QUOTED, WIRELESS):
        for match in pattern.finditer(text, start, end):
            if not _names_one(match["value"]):
                yield "password", *match.span("value")
    for match in SETTING.finditer(text, start, end):
        if not PLACEHOLDER.search(match["value"]):
            yield "password", *match.span("value")
    for match in FOLLOWING.finditer(text, start, end):
        group = match.lastgroup or "value"
        value = match[group]
        if "=" not in value and _looks_secret(value) and sum(map(str.isdigit, value)) >= 2:
            yield "password", *match.span(group)
    for line in text[start:end].split("\n"):
        if SPEAKS_OF_SECRETS.search(line):
            for first, last in _unannounced(line):
                yield "random-string", start + first, start + last
        start += len(line) + 1


def spans(text: str) -> list[tuple[str, int, int]]:
    """Kind, start and end of everything found, in characters; they may overlap."""
    found: list[tuple[str, int, int]] = []
    for name, pattern in COMPILED.items():
        if any(mark in text for mark in MARKS[name]):
            found += [(name, *match.span()) for match in pattern.finditer(text)]
    if "://" in text:
        found += [
            ("url-password", *match.span("value"))
            for match in URL.finditer(text)
            if not PLACEHOLDER.search(match["value"])
        ]
    for start, end in _speaking(text):
        found += _announced(text, start, end)
    if MAY_BEAR.search(text):
        found += [("bearer-token", *m.span("value")) for m in BEARER.finditer(text) if _looks_secret(m["value"])]
    return found
