"""The login in front of the UI: oauth2-proxy, the only pod that the web server answers, and the Ingress before it.

Dagster's open-source web server knows no users: whoever reaches it may do everything.
"""

from forge_dagster.compute_profile import KubernetesProfile, Pod
from forge_dagster.training.manifests import pod_security
from resources.cluster.foundation import entrance_account
from resources.cluster.parts import (
    AUDITOR,
    PROXY,
    PROXY_PORT,
    WEBSERVER_PORT,
    WEBSERVER_SERVICE,
    Manifest,
    container_security,
    from_secret,
    manifest,
    pull_secrets,
)
from resources.cluster.site import Site
from resources.pods import PART

TAKES = Pod(cpu="250m", memory="128Mi")
PORT_NAME = "login"
SECRETS = {
    "OAUTH2_PROXY_CLIENT_ID": "client-id",
    "OAUTH2_PROXY_CLIENT_SECRET": "client-secret",
    "OAUTH2_PROXY_COOKIE_SECRET": "cookie-secret",
}


def login_container(site: Site, *, host: str, upstream: str, groups: tuple[str, ...]) -> Manifest:
    """oauth2-proxy: asks the issuer who somebody is, and passes on with name and e-mail address whom it lets in."""
    login = site.login
    arguments = [
        "--provider=oidc",
        f"--oidc-issuer-url={login.issuer}",
        f"--redirect-url=https://{host}/oauth2/callback",
        f"--upstream={upstream}",
        f"--http-address=0.0.0.0:{PROXY_PORT}",
        "--reverse-proxy=true",
        "--code-challenge-method=S256",
        "--cookie-secure=true",
        "--cookie-samesite=lax",
        # WHO and X-Forwarded-User; what a client sends under these names is dropped.
        "--pass-user-headers=true",
        "--skip-provider-button=true",
        *(f"--email-domain={domain}" for domain in login.email_domains),
        *(f"--allowed-group={group}" for group in groups),
    ]
    return {
        "name": "login",
        "image": login.proxy,
        "imagePullPolicy": "IfNotPresent",
        "args": arguments,
        "env": [from_secret(variable, login.secret, key) for variable, key in SECRETS.items()],
        "ports": [{"name": PORT_NAME, "containerPort": PROXY_PORT}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": PORT_NAME}, "periodSeconds": 10},
        "livenessProbe": {"httpGet": {"path": "/ping", "port": PORT_NAME}, "periodSeconds": 20},
        "resources": TAKES.amounts,
        "securityContext": container_security(),
    }


def proxy(profile: KubernetesProfile, site: Site) -> list[Manifest]:
    """Deployment and Service of the login before the web server."""
    container = login_container(
        site,
        host=site.entrance.host,
        upstream=f"http://{WEBSERVER_SERVICE}:{WEBSERVER_PORT}/",
        groups=site.login.groups,
    )
    pod = {
        "serviceAccountName": entrance_account(profile),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "imagePullSecrets": pull_secrets([site.pull_secret]),
        "containers": [container],
    }
    return [deployment(profile, PROXY, pod, replicas=2), entrance_service(profile, PROXY)]


def deployment(profile: KubernetesProfile, part: str, pod: Manifest, *, replicas: int = 1) -> Manifest:
    """A Deployment whose pods carry the label of their part."""
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {PART: part}},
        "template": {"metadata": {"labels": {PART: part}}, "spec": pod},
    }
    return manifest("apps/v1", "Deployment", f"forge-{part}", profile.namespace, spec=spec)


def entrance_service(profile: KubernetesProfile, part: str) -> Manifest:
    """The address of a login within the cluster."""
    spec = {
        "type": "ClusterIP",
        "selector": {PART: part},
        "ports": [{"name": PORT_NAME, "port": PROXY_PORT, "targetPort": PORT_NAME}],
    }
    return manifest("v1", "Service", f"forge-{part}", profile.namespace, spec=spec)


def ingress(profile: KubernetesProfile, site: Site) -> Manifest:
    """The way in from outside: each host to its login."""
    entrance = site.entrance
    hosts = {entrance.host: PROXY, entrance.auditor_host: AUDITOR}
    found = manifest(
        "networking.k8s.io/v1",
        "Ingress",
        "forge",
        profile.namespace,
        spec={
            "ingressClassName": entrance.ingress_class,
            "tls": [{"hosts": list(hosts), "secretName": entrance.tls_secret}],
            "rules": [{"host": host, "http": {"paths": [_path(part)]}} for host, part in hosts.items()],
        },
    )
    if entrance.annotations:
        found["metadata"]["annotations"] = dict(entrance.annotations)
    return found


def _path(part: str) -> Manifest:
    service = {"name": f"forge-{part}", "port": {"name": PORT_NAME}}
    return {"path": "/", "pathType": "Prefix", "backend": {"service": service}}
