"""Credentials of 26 kinds by the form their issuers give them; drawn, so they open nothing."""

from collections.abc import Callable

from forge_dagster.sample.dirt.personal import letters
from forge_dagster.sample.draw import Draw

LOWER, UPPER, DIGITS = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
WORD = LOWER + UPPER + DIGITS
HEX, BASE32, BASE64 = DIGITS + "abcdef", UPPER + "234567", WORD + "+/"
SYLLABLES = ("ka", "to", "mi", "ren", "sol", "va", "du", "pex", "lor", "ni", "bra", "quo")


def _password(draw: Draw) -> str:
    word = "".join(draw.pick(SYLLABLES) for _ in range(3))
    return draw.pick((
        f"{word.capitalize()}{draw.pick('!#+?')}{draw.between(10, 9999)}", letters(draw, 16, WORD),
        f"{word}-{letters(draw, 4, DIGITS)}-{letters(draw, 4, LOWER)}", letters(draw, 12, WORD + "!#*+?="),
        f"{word}{draw.between(1970, 2031)}",
    ))  # fmt: skip


def _pem(name: str, lines: int) -> Callable[[Draw], str]:
    def make(draw: Draw) -> str:
        body = [letters(draw, 64, BASE64) for _ in range(lines)] + [letters(draw, 38, BASE64) + "=="]
        return "\n".join([f"-----BEGIN {name}-----", *body, f"-----END {name}-----"])

    return make


def _drawn(prefix: str, count: int, alphabet: str = WORD, suffix: str = "") -> Callable[[Draw], str]:
    return lambda draw: prefix + letters(draw, count, alphabet) + suffix


def _jwt(draw: Draw) -> str:
    return f"eyJhbGciOiJIUzI1NiJ9.eyJ{letters(draw, 60, WORD)}.{letters(draw, 43, WORD + '-_')}"


VALUES: dict[str, Callable[[Draw], str]] = {
    "aws-access-key": _drawn("AKIA", 16, BASE32),
    "google-api-key": _drawn("AIza", 35),
    "github-token": _drawn("ghp_", 36),
    "gitlab-token": _drawn("glpat-", 20),
    "slack-token": lambda draw: (
        f"xoxb-{letters(draw, 12, DIGITS)}-{letters(draw, 12, DIGITS)}-{letters(draw, 24, WORD)}"
    ),
    "slack-webhook": lambda draw: (
        f"https://hooks.slack.com/services/T{letters(draw, 8, UPPER)}/B{letters(draw, 8, UPPER)}/{letters(draw, 24, WORD)}"
    ),
    "stripe-key": _drawn("sk_live_", 24),
    "twilio-key": _drawn("SK", 32, HEX),
    "sendgrid-key": lambda draw: f"SG.{letters(draw, 22, WORD)}.{letters(draw, 43, WORD)}",
    "npm-token": _drawn("npm_", 36),
    "pypi-token": _drawn("pypi-AgEIcHlwaS5vcmc", 70),
    "ai-key": _drawn("sk-proj-", 48),
    "hub-token": _drawn("hf_", 34),
    "telegram-token": lambda draw: f"{draw.between(10**8, 10**10 - 1)}:AA{letters(draw, 33, WORD)}",
    "jwt": _jwt,
    "azure-key": lambda draw: f"AccountKey={letters(draw, 86, BASE64)}==",
    "digitalocean-token": _drawn("dop_v1_", 64, HEX),
    "shopify-token": _drawn("shpat_", 32, HEX),
    "mailgun-key": _drawn("key-", 32, HEX),
    "databricks-token": _drawn("dapi", 32, HEX),
    "vault-token": _drawn("hvs.", 90),
    "private-key": _pem("RSA PRIVATE KEY", 12),
    "openssh-key": _pem("OPENSSH PRIVATE KEY", 5),
    "password-hash": lambda draw: f"$6${letters(draw, 16, WORD + './')}${letters(draw, 86, WORD + './')}",
    "bcrypt-hash": _drawn("$2b$12$", 53, WORD + "./"),
}
"""How each kind is made that is known by its own form."""
ANNOUNCED: dict[str, Callable[[Draw], str]] = {
    "password": _password,
    "url-password": lambda draw: letters(draw, draw.between(10, 20), WORD),
    "generic-key": _drawn("", 40),
}
"""Those that only what stands around them gives away."""
