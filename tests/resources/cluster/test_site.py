"""A site says what a cluster has; what would break out of a manifest, or open it, is refused by name."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from forge_dagster.errors import RecipeError
from forge_dagster.home import PROJECT
from resources.cluster.site import load_site

EXAMPLE = PROJECT / "deploy/site.yaml"


def _changed(folder: Path, key: str, value: Any) -> Path:
    told = yaml.safe_load(EXAMPLE.read_text())
    *outer, last = key.split(".")
    place = told
    for each in outer:
        place = place[each]
    place[last] = value
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(told))
    return path


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("entrance.host", "forge.example.org\n  evil: true"),
        ("entrance.host", "forge.example.org: {}"),
        ("entrance.host", "-forge"),
        ("entrance.host", "audit.forge.example.org"),
        ("entrance.tls_secret", "../secret"),
        ("entrance.annotations", {"a": "b\nc: d"}),
        ("entrance.port", 443),
        ("login.issuer", "http://login.example.org"),
        ("login.issuer", "https://login.example.org --upstream=http://elsewhere"),
        ("login.proxy", "quay.io/oauth2-proxy/oauth2-proxy:latest"),
        ("login.proxy", "quay.io/oauth2-proxy/oauth2-proxy"),
        ("login.email_domains", []),
        ("login.email_domains", ["example.org,*"]),
        ("login.email_domains", [".org"]),
        ("login.groups", ["a,b"]),
        ("login.groups", ["a\nb"]),
        ("login.client_secret", "hunter2"),
        ("database.user", "forge; drop"),
        ("database.name", "forge?sslmode=disable"),
        ("database.password", "hunter2"),
        ("database.sslmode", "allow"),
        ("database.cidrs", []),
        ("database.cidrs", ["192.0.2.1/24"]),
        ("api_server.cidrs", ["everywhere"]),
        ("api_server.port", 0),
        ("sources", [{"cidrs": ["192.0.2.0/24"]}]),
        ("storage", "much"),
        ("storage_class", "Shared Files"),
        ("slots", 0),
        ("busybox", f"busybox@sha256:{'0' * 64}"),
        ("environment", {"PATH": "/tmp"}),
        ("environment", {"FORGE_HOME": "/tmp"}),
        ("environment", {"FORGE_SOURCES": "$(DAGSTER_PG_PASSWORD)"}),
        ("services", {"cpu": "1", "memory": "2 Gi"}),
        ("unknown", 1),
    ],
)
def test_what_breaks_a_rule_is_named(tmp_path: Path, key: str, value: Any):
    with pytest.raises(RecipeError, match=key.partition(".")[0]) as caught:
        load_site(_changed(tmp_path, key, value))
    assert "correct the file" in caught.value.mend


def test_every_address_may_come_in_only_if_groups_keep_others_out(tmp_path: Path):
    assert load_site(_changed(tmp_path, "login.email_domains", ["*"])).login.groups == ("model-team",)
    told = yaml.safe_load(EXAMPLE.read_text())
    told["login"] |= {"email_domains": ["*"], "auditor_groups": []}
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(told))
    with pytest.raises(RecipeError, match="lets in whoever the issuer knows"):
        load_site(tmp_path / "site.yaml")


def test_a_list_is_no_site(tmp_path: Path):
    (tmp_path / "site.yaml").write_text("- entrance\n")
    with pytest.raises(RecipeError, match="top level is a mapping"):
        load_site(tmp_path / "site.yaml")
