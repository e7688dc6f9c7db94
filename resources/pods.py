"""What the pods of runs and steps look like on a cluster, from the compute profile: one answer for launcher and steps.

FORGE_HOME has one path everywhere, and the claim is mounted there: records, locks and Dagster's own files then name the
same folders in every pod.
"""

import os
from collections.abc import Mapping
from typing import Any

from forge_dagster.compute_profile import USER, KubernetesProfile, Pod
from forge_dagster.home import home

PASSED_ON = (
    "FORGE_HOME", "FORGE_STORE", "FORGE_RECIPES", "FORGE_SOURCES", "FORGE_POLICIES", "FORGE_EVALS", "FORGE_AUTOMATION",
    "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_REGION",
    "FORGE_COMPUTE", "FORGE_DEVICE", "FORGE_MICRO_BATCH", "FORGE_COMPILE", "FORGE_RECOMPUTE", "FORGE_GENERAL_TOKENIZER",
)  # fmt: skip
"""Variables of the process that starts a pod that hold in the pod too, where they are set."""
PART, RUN = "forge-dagster/part", "run"
"""Label by which network policies know pods, and its value for runs and steps."""
STARTS, HOSTS = "forge-dagster/starts", "hosts"
"""Label of the Job of a step that starts hosts of its own, and its value."""
KEPT_SECONDS = 3600
"""How long a Job that has ended is kept for people to look at; ten looks of Dagster's daemon take 100 s."""


def launcher_config(profile: KubernetesProfile, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Configuration of dagster_k8s.K8sRunLauncher; pods of steps are made from it too."""
    return {
        "job_namespace": profile.namespace,
        "job_image": profile.image,
        "image_pull_policy": "IfNotPresent",
        "service_account_name": profile.service_account,
        "instance_config_map": "",  # the instance lies in the home, which is mounted
        "dagster_home": environment.get("DAGSTER_HOME", str(home().dagster)),
        "load_incluster_config": profile.kubeconfig is None,
        **({"kubeconfig_file": str(profile.kubeconfig)} if profile.kubeconfig else {}),
        "env_secrets": [profile.database_secret],
        "env_vars": [f"{name}={environment[name]}" for name in PASSED_ON if name in environment],
        "volumes": [
            {"name": "home", "persistent_volume_claim": {"claim_name": profile.claim}},
            {"name": "tmp", "empty_dir": {}},
        ],
        "volume_mounts": [{"name": "home", "mount_path": str(home().root)}, {"name": "tmp", "mount_path": "/tmp"}],
        "labels": {PART: RUN},
        "security_context": {
            "allow_privilege_escalation": False,
            "read_only_root_filesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "run_k8s_config": {
            "pod_spec_config": {
                "security_context": {
                    "run_as_non_root": True,
                    "run_as_user": USER,
                    "fs_group": USER,
                    "seccomp_profile": {"type": "RuntimeDefault"},
                },
                "termination_grace_period_seconds": profile.save_seconds,
            },
            # Dagster tries again, from where the work stood; a cluster that did so too would start a step twice.
            "job_spec_config": {"backoff_limit": 0, "ttl_seconds_after_finished": KEPT_SECONDS},
            "container_config": {"resources": profile.default.amounts},
        },
    }


def step_config(pod: Pod, *, cores: int, starts_hosts: bool) -> dict[str, Any]:
    """What the tag `dagster-k8s/config` of an asset says: the pod of its step.

    `cores`: of who computes, which are the hosts where it starts some. The pod asks the API server for nothing, and
    holds no token for it, unless it starts hosts.
    """
    # A process in a pod sees every core of its node.
    threads = {"name": "FORGE_THREADS", "value": str(cores)}
    optional = {
        "node_selector": dict(pod.node_selector),
        "tolerations": [each.model_dump(exclude_none=True) for each in pod.tolerations],
        "priority_class_name": pod.priority,
    }
    spec = {name: value for name, value in optional.items() if value}
    labels = {
        **({"kueue.x-k8s.io/queue-name": pod.queue} if pod.queue else {}),
        **({STARTS: HOSTS} if starts_hosts else {}),
    }
    return {
        "container_config": {"resources": pod.amounts, "env": [threads]},
        # Dagster would have it mounted, whatever the account says.
        "pod_spec_config": {"automount_service_account_token": starts_hosts, **spec},
        **({"job_metadata": {"labels": labels}} if labels else {}),
    }
