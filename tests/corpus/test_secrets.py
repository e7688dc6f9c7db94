"""Secrets of more than twenty kinds are found; examples, placeholders and prose about passwords are let be."""

import random
import string

import pytest

from forge_dagster.corpus.redact import redact

DRAW = random.Random(7)


def letters(count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(DRAW.choice(alphabet) for _ in range(count))


HEX = "0123456789abcdef"
BASE32 = string.ascii_uppercase + "234567"
SECRETS = {
    "aws-access-key": "AKIA" + letters(16, BASE32),
    "google-api-key": "AIza" + letters(35),
    "github-token": "ghp_" + letters(36),
    "gitlab-token": "glpat-" + letters(20),
    "slack-token": "xoxb-" + letters(11, string.digits) + "-" + letters(24),
    "slack-webhook": "https://hooks.slack.com/services/T" + letters(8) + "/B" + letters(8) + "/" + letters(24),
    "stripe-key": "sk_live_" + letters(24),
    "twilio-key": "SK" + letters(32, HEX),
    "sendgrid-key": "SG." + letters(22) + "." + letters(43),
    "npm-token": "npm_" + letters(36),
    "pypi-token": "pypi-" + letters(60),
    "ai-key": "sk-proj-" + letters(40),
    "telegram-token": letters(9, "123456789") + ":AA" + letters(33),
    "jwt": "eyJ" + letters(20) + ".eyJ" + letters(40) + "." + letters(43),
    "azure-key": "AccountKey=" + letters(86) + "==",
    "digitalocean-token": "dop_v1_" + letters(64, HEX),
    "shopify-token": "shpat_" + letters(32, HEX),
    "mailgun-key": "key-" + letters(32, HEX),
    "databricks-token": "dapi" + letters(32, "abcdef0123456789"),
    "vault-token": "hvs." + letters(24),
    "age-key": "AGE-SECRET-KEY-1" + letters(58, BASE32),
    "private-key": "-----BEGIN RSA PRIVATE KEY-----\n" + letters(64) + "\n-----END RSA PRIVATE KEY-----",
    "password-hash": "$2b$12$" + letters(53),
}
ASSIGNED = [
    "DB_PASSWORD={}",
    'password: "{}"',
    "api_key = '{}'",
    '"client_secret": "{}"',
    "Das Passwort lautet {}",
    "Authorization: Bearer {}",
    "postgresql://app:{}@db.example.org/app",
    "The password for the staging database is {}",
    "machine db.example.org login app password {}",
    "CREATE USER app IDENTIFIED BY '{}';",
    "curl -u app:{} https://db.example.org/",
    "requirepass {}",
    "Use {} as the API key until Monday.",
    "I rotated the token; the new one is {}",
    "The credentials are app / {}",
    '<add key="SmtpPassword" value="{}" />',
]
WEAK = {
    'password="foobar"': "foobar",
    "wep_key1=0102030405": "0102030405",
    "\twpa-psk madhotspot": "madhotspot",
    "secret = testing123": "testing123",
    "The password for the server is vaquobra1992, do not write it down": "vaquobra1992",
}
HARMLESS = [
    "The password must have twelve characters and is changed every year.",
    "password: <your password>",
    "api_key = os.environ['API_KEY']",
    "token = get_token()",
    "secret: changeme",
    "Set PASSWORD=xxxxxxxx before the first start.",
    "A token is a word or a part of one; see section token-shards.",
    "commit 4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f70 fixes it",
    "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQAD\n-----END PUBLIC KEY-----",
    "Password policy",
    "Password required pam_cracklib.so",
    "The key getSecretAccessKeyCandidates2 names a function of the token store.",
    "token: sha256:4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f70",
    "Reisepass: C01X04 is read at the desk",
    "password_hash = argon2.hash(password)",
    "secret_name: orders-database",
]


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("frame", ["{}", "The key is {} for now.", "export KEY='{}'", "| {} |"])
def test_a_secret_is_replaced_whole(kind: str, frame: str):
    value = SECRETS[kind]
    text, spans = redact(frame.format(value))
    assert "[SECRET]" in text
    assert len(spans) == 1
    assert not any(value[at : at + 12] in text for at in range(8, len(value) - 12)), text


@pytest.mark.parametrize("frame", ASSIGNED)
def test_a_password_is_told_by_what_announces_it(frame: str):
    value = "gT7vQ2pLx9Wz4RkB1mNs"
    assert redact(frame.format(value))[0] == frame.format("[SECRET]")


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str):
    assert redact(text) == (text, [])


@pytest.mark.parametrize(("text", "value"), WEAK.items())
def test_a_weak_password_is_one_where_a_password_stands(text: str, value: str):
    assert redact(text)[0] == text.replace(value, "[SECRET]")


def test_a_static_key_is_replaced_whole():
    body = f"{letters(32, HEX)}\n{letters(32, HEX)}"
    text = f"-----BEGIN OpenVPN Static key V1-----\n{body}\n-----END OpenVPN Static key V1-----"
    assert redact(f"<tls-auth>\n{text}\n</tls-auth>")[0] == "<tls-auth>\n[SECRET]\n</tls-auth>"


def test_places_hold_where_small_letters_are_longer_than_capitals():
    assert redact("İİİ\npassword: gT7vQ2pLx9Wz4")[0] == "İİİ\npassword: [SECRET]"
