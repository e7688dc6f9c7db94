"""Rules of the image's Dockerfile, in the manner of hadolint; no image is built here."""

import re
import shlex

import pytest

from forge_dagster.home import PROJECT
from resources.cluster.lock import TOOLS, path_of
from resources.cluster.parts import DAGSTER_HOME, HOME
from resources.pods import USER

DOCKERFILE = PROJECT / "deploy/Dockerfile"
FINAL = ("cpu", "gpu")


def instructions(text: str) -> list[tuple[str, str]]:
    """Instructions with their arguments; comments and line ends are gone."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n", " ", "\n".join(lines))
    return [(line.split()[0].upper(), line.partition(" ")[2].strip()) for line in whole.splitlines() if line.strip()]


def stages(text: str) -> dict[str, list[tuple[str, str]]]:
    """Instructions by stage; those before the first under an empty name."""
    found: dict[str, list[tuple[str, str]]] = {"": []}
    for name, rest in instructions(text):
        if name == "FROM":
            found[rest.split()[-1]] = [(name, rest)]
        else:
            found[list(found)[-1]].append((name, rest))
    return found


def problems(text: str) -> list[str]:
    """What a rule forbids."""
    by_stage = stages(text)
    found, passed = [], {rest for name, rest in by_stage[""] if name == "ARG"}
    for stage, lines in by_stage.items():
        for name, rest in lines:
            if name == "FROM":
                image = rest.split()[0]
                if image.strip("${}") not in passed and image not in by_stage:
                    found.append(f"{stage}: an image that no argument names: {image}")
            elif name == "ADD":
                found.append(f"{stage}: ADD fetches and unpacks; use COPY")
            elif name == "RUN":
                found += [f"{stage}: {each}" for each in shell_problems(rest)]
            elif name in {"ARG", "ENV"} and re.search(r"(PASSWORD|SECRET|TOKEN|KEY)\w*=", rest):
                found.append(f"{stage}: a secret stays in the image's history")
            elif name == "WORKDIR" and not rest.startswith("/"):
                found.append(f"{stage}: WORKDIR is absolute")
            elif name == "COPY" and rest.startswith(". "):
                found.append(f"{stage}: COPY takes what is named")
    for stage in FINAL:
        last = by_stage.get(stage, [("", "")])[-1]
        if last[0] != "USER" or not re.fullmatch(r"[1-9]\d*:[1-9]\d*", last[1]):
            found.append(f"{stage}: ends with USER, a number that is not 0: runAsNonRoot cannot read names")
    if ":latest" in text:
        found.append("a tag that moves")
    return found


def shell_problems(command: str) -> list[str]:
    found = []
    for each in command.split("&&"):
        words = shlex.split(each)
        if {"curl", "wget"} & set(words):
            found.append("a download that nothing checks")
        if "apt-get install" in each and "--no-install-recommends" not in words:
            found.append("apt-get install without --no-install-recommends")
        if "apt-get install" in each and "rm -rf /var/lib/apt/lists/*" not in command:
            found.append("the lists of apt stay in the image")
        if "pip install" in each.replace("-m pip", "pip"):
            if not {"--require-hashes", "--no-index"} & set(words):
                found.append(f"pip install of what no hash tells: {each.strip()}")
            if "--no-cache-dir" not in words:
                found.append("the cache of pip stays in the image")
    if "sudo" in command:
        found.append("sudo")
    return found


def test_the_dockerfile_keeps_the_rules():
    assert problems(DOCKERFILE.read_text()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("USER 1000:1000", "USER root"),
        ("USER 1000:1000", "USER forge"),
        ("USER 1000:1000", ""),
        ("FROM ${PYTHON} AS base", "FROM python:latest AS base"),
        ("FROM ${PYTHON} AS base", "FROM python:3.11 AS base"),
        ("COPY .git /checkout/.git", "ADD https://example.org/forge.tar /checkout"),
        ("COPY --from=source /opt/forge /opt/forge", "COPY . /opt/forge"),
        ("--no-install-recommends ", ""),
        ("rm -rf /var/lib/apt/lists/*", "true"),
        ("--require-hashes ", ""),
        ("WORKDIR /lock", "WORKDIR lock"),
        ("ARG TORCH_INDEX=", "ARG TORCH_TOKEN="),
        ("git clone", "curl -s https://example.org | bash; git clone"),
    ],
)
def test_each_rule_finds_what_breaks_it(old: str, new: str):
    text = DOCKERFILE.read_text()
    assert old in text
    assert problems(text.replace(old, new))


def test_the_base_image_has_no_default():
    assert ("ARG", "PYTHON") in stages(DOCKERFILE.read_text())[""]


def test_user_and_folders_are_those_of_the_manifests():
    text = DOCKERFILE.read_text()
    assert f"USER {USER}:{USER}" in text
    assert f"--uid {USER} --gid {USER}" in text
    assert f"DAGSTER_HOME={DAGSTER_HOME} " in text
    assert f"FORGE_HOME={HOME} " in text


@pytest.mark.parametrize("target", FINAL)
def test_an_image_has_what_its_lock_says(target: str):
    by_stage = stages(DOCKERFILE.read_text())
    [install] = [rest for name, rest in by_stage[f"libraries-{target}"] if name == "RUN"]
    assert shlex.split(install)[-2:] == ["--requirement", path_of(target).name]
    assert ("COPY", f"--from=libraries-{target} /opt/venv /opt/venv") in by_stage[target]


def test_tools_are_installed_from_the_lock():
    [command] = [rest for _, rest in instructions(DOCKERFILE.read_text()) if "grep" in rest]
    pattern = re.search(r'--extended-regexp "([^"]+)" (\S+)', command)
    assert pattern
    found = [line for line in (PROJECT / "deploy" / pattern[2]).read_text().splitlines() if re.match(pattern[1], line)]
    assert [line.split()[0] for line in found] == list(TOOLS)


def test_the_builder_gets_the_commit_and_nothing_else():
    lines = (PROJECT / "deploy/Dockerfile.dockerignore").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["*", "!.git"]
    copied = [rest for name, rest in instructions(DOCKERFILE.read_text()) if name == "COPY" and "--from" not in rest]
    assert copied == [".git /checkout/.git"]
