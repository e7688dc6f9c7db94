"""`forge deploy`: the files that bring the graph onto a Kubernetes cluster."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from forge_dagster.cli.console import Json, out, print_json
from forge_dagster.compute_profile import KubernetesProfile, load_profile
from forge_dagster.errors import UserError, VerdictError
from forge_dagster.home import PROJECT
from forge_dagster.provenance.files import write_atomically
from forge_dagster.source import read_yaml

EXAMPLES = {"--profile": "compute.kubernetes.yaml", "--site": "site.yaml"}


def command(
    profile: Annotated[Path, typer.Option(help="Where steps compute and what each may take: kind kubernetes.")],
    out_: Annotated[Path, typer.Option("--out", help="A new folder, or one that `forge deploy` wrote.")],
    site: Annotated[
        Path | None, typer.Option(help="What the cluster has: hosts, login, database. Else site.yaml beside --profile.")
    ] = None,
    json: Json = False,
) -> None:
    """Write what `kubectl apply` and `helm install` take: OUT/manifests, one object a file, and OUT/values.yaml.

    The manifests are what Dagster's Helm chart lacks: namespace, claim, accounts with few rights, network policies
    that deny by default, priorities, a login in front of the UI, the read-only server for auditors. The values are
    for that chart, of the Dagster version that this project pins. Nothing is sent anywhere, and no cluster is needed.

    Examples of both files are in deploy/; `forge schema compute/kubernetes` and `forge schema site` say what each key
    takes. Steps from image to login: deploy/README.md.
    """
    from resources.cluster.manifests import FOLDER, VALUES, files, manifests, needs
    from resources.cluster.parts import RELEASE
    from resources.cluster.rules import Limits, judge_all
    from resources.cluster.site import load_site

    found = load_profile(_file(profile, "--profile"))
    if not isinstance(found, KubernetesProfile):
        raise UserError(
            f"{profile}: kind = {found.kind!r}",
            rule="manifests are made for kind kubernetes; other kinds need none",
            mend="name another profile, or set FORGE_COMPUTE to this one and run `forge run`",
        )
    place = load_site(_file(site or profile.with_name("site.yaml"), "--site"))
    instance = read_yaml(PROJECT / "dagster.yaml")
    limits = Limits(save_seconds=found.save_seconds, poll_seconds=instance["run_monitoring"]["poll_interval_seconds"])
    broken = judge_all(manifests(found, place, instance), limits)
    if broken:
        raise VerdictError("\n".join(map(str, broken)), findings=[vars(each) for each in broken])
    texts = files(found, place, instance)
    _write(out_, texts)
    if json:
        print_json({"files": [str(out_ / name) for name in texts], "needs": needs(found, place)})
        return
    out.print(f"{len(texts)} files in {out_}", markup=False)
    out.print("Needed, and not among these files:")
    for need in needs(found, place):
        out.print(f"  {need}", markup=False)
    out.print("Next:")
    out.print(f"  kubectl apply --filename {out_ / FOLDER}", markup=False)
    out.print(
        f"  helm upgrade --install {RELEASE} dagster/dagster --version {version('dagster')} "
        f"--namespace {found.namespace} --values {out_ / VALUES}",
        markup=False,
        soft_wrap=True,
    )


def _file(path: Path, option: str) -> Path:
    if not path.is_file():
        raise UserError(f"{option}: {path} is no file", rule="a YAML file", mend=f"copy deploy/{EXAMPLES[option]}")
    return path


def _write(folder: Path, texts: dict[str, str]) -> None:
    """Write all files. Raises UserError before the first if the folder holds others: they would be applied too."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out: {folder} is a file", rule="a folder", mend="name another")
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    if foreign := sorted(there - texts.keys()):
        raise UserError(
            f"{folder} holds {foreign[0]}" + (f" and {len(foreign) - 1} more" if foreign[1:] else ""),
            rule="the folder holds the files of one deployment alone: kubectl applies all of them",
            mend="name a new folder, or delete what is left of an earlier deployment",
        )
    for name, text in texts.items():
        write_atomically(folder / name, text.encode())
