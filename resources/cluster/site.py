"""What one cluster has and the compute profile does not know: the type behind site.yaml."""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from forge_dagster.compute_profile import Image, Name, Pod, Quantity
from forge_dagster.source import explain, read_yaml
from forge_dagster.stage import FrozenModel

LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
DNS_NAME = rf"{LABEL}(\.{LABEL})*"
# Kubernetes replaces $(NAME) in values of variables, so a dollar is no plain text there.
PLAIN = r"^[^\x00-\x1f$]*$"
SET_BY_US = {"FORGE_HOME", "FORGE_COMPUTE", "FORGE_DATABASE"}


def _network(cidr: str) -> str:
    return str(ipaddress.ip_network(cidr))


DnsName = Annotated[str, Field(pattern=f"^{DNS_NAME}$", max_length=253)]
Cidr = Annotated[str, AfterValidator(_network), Field(description="addresses as 10.0.0.5/32")]
Port = Annotated[int, Field(ge=1, le=65535)]


class Destination(FrozenModel):
    """Addresses outside the namespace to which pods may open connections."""

    cidrs: tuple[Cidr, ...] = Field(min_length=1)
    port: Port


class Database(Destination):
    """The PostgreSQL that keeps Dagster's runs and events; `database_secret` of the profile has its password."""

    host: DnsName
    port: Port = 5432
    name: str = Field(default="forge", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    user: str = Field(default="forge", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    sslmode: Literal["disable", "require", "verify-full"] = "require"


class Login(Destination):
    """The OpenID Connect provider that says who a person is, and whom of those it knows may come in."""

    issuer: str = Field(pattern=rf"^https://{DNS_NAME}(:\d{{1,5}})?(/[\w.~/-]*)?$", max_length=500)
    port: Port = 443
    proxy: Image = Field(description="image of oauth2-proxy")
    secret: Name = Field(
        default="forge-login", description="Secret with `client-id`, `client-secret` and `cookie-secret`"
    )
    email_domains: tuple[str, ...] = Field(min_length=1, description="* for every e-mail address; groups then decide")
    groups: tuple[str, ...] = Field(default=(), description="who may start and change; none: whoever may log in")
    auditor_groups: tuple[str, ...] = Field(default=(), description="who may look at everything; none: as above")

    @field_validator("email_domains")
    @classmethod
    def domains_are_names(cls, domains: tuple[str, ...]) -> tuple[str, ...]:
        for domain in domains:
            if domain != "*" and not all(_is_label(part) for part in domain.split(".")):
                raise ValueError(f"{domain!r} is no domain")
        return domains

    @field_validator("groups", "auditor_groups")
    @classmethod
    def groups_are_plain(cls, groups: tuple[str, ...]) -> tuple[str, ...]:
        for group in groups:
            if not group or not group.isprintable() or "," in group:
                raise ValueError(f"{group!r} is no name of a group: printable, without commas")
        return groups

    @model_validator(mode="after")
    def someone_is_kept_out(self) -> "Login":
        if "*" in self.email_domains and not (self.groups and self.auditor_groups):
            raise ValueError("email_domains: * lets in whoever the issuer knows, unless both lists of groups are given")
        return self


class Entrance(FrozenModel):
    """Where people reach the UI: the controller's Ingress is the only way in."""

    host: DnsName
    auditor_host: DnsName
    ingress_class: DnsName
    controller_namespace: Name = Field(description="namespace of the pods of the Ingress controller")
    tls_secret: Name = Field(description="Secret with the certificate of both hosts")
    annotations: Mapping[str, Annotated[str, Field(pattern=PLAIN)]] = Field(
        default={}, description="of the Ingress, for its controller"
    )

    @model_validator(mode="after")
    def hosts_differ(self) -> "Entrance":
        if self.host == self.auditor_host:
            raise ValueError("host and auditor_host are two names: one leads to the server that changes things")
        return self


class Dns(FrozenModel):
    """The pods that answer names."""

    namespace: Name = "kube-system"
    labels: Mapping[str, str] = {"k8s-app": "kube-dns"}
    port: Port = 53


class Site(FrozenModel):
    """One cluster."""

    entrance: Entrance
    login: Login
    database: Database
    api_server: Destination = Field(description="of Kubernetes, as `kubectl get endpoints kubernetes` says")
    dns: Dns = Dns()
    sources: tuple[Destination, ...] = Field(default=(), description="what runs read from or send notices to")
    storage_class: DnsName | None = Field(default=None, description="of ReadWriteMany; none: the cluster's default")
    storage: Quantity = Field(description="size of FORGE_HOME")
    services: Pod = Pod(cpu="1", memory="2Gi")
    """What web server, daemon, code location and the auditors' server take, each."""
    runs: Pod = Pod(cpu="1", memory="4Gi")
    """What the process of a run takes beside its steps."""
    slots: int = Field(default=4, ge=1, description="steps of one pool, cpu or gpu, that compute at the same time")
    pull_secret: Name | None = Field(default=None, description="Secret for the registry of images")
    busybox: Image = Field(default="docker.io/busybox:1.28", description="image with nslookup, for the chart")
    environment: Mapping[
        Annotated[str, Field(pattern=r"^FORGE_[A-Z_]+$")], Annotated[str, Field(pattern=PLAIN, max_length=4096)]
    ] = Field(default={}, description="further variables of every pod, as FORGE_SOURCES")

    @field_validator("environment")
    @classmethod
    def what_is_set_stays(cls, environment: Mapping[str, str]) -> Mapping[str, str]:
        if taken := sorted(SET_BY_US & environment.keys()):
            raise ValueError(f"{', '.join(taken)} follows from the rest of the file")
        return environment

    @field_validator("busybox")
    @classmethod
    def by_tag(cls, image: str) -> str:
        if "@" in image:
            raise ValueError("the chart takes this image by its tag alone")
        return image


def _is_label(text: str) -> bool:
    return 0 < len(text) <= 63 and text.isascii() and text.replace("-", "a").isalnum() and text == text.strip("-")


def load_site(path: Path) -> Site:
    """Read a site. Raises RecipeError, naming key and rule, if the file breaks one."""
    try:
        return Site.model_validate(read_yaml(path))
    except ValidationError as error:
        raise explain(path, error) from error
