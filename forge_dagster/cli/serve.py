"""`forge serve`: OpenAI's interface over a released model, and a page to talk on."""

import ipaddress
import os
import sys
from typing import Annotated, Literal

import typer

from forge_dagster.cli.bundle import release_of
from forge_dagster.cli.console import Json, err, out, print_json
from forge_dagster.errors import BusyError, UserError
from forge_dagster.home import folder_of, home
from forge_dagster.model.vllm import PYTHON, VllmEngine
from forge_dagster.policy import load_policies
from forge_dagster.policy_kinds import refusals_of
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.server.engine import Engine
from forge_dagster.server.opened import Served, open_release

TOKEN = "FORGE_SERVE_TOKEN"  # environment variable: what callers say as `Authorization: Bearer`
SHORTEST_TOKEN = 16  # characters


def command(
    release: Annotated[
        str | None,
        typer.Argument(help="RECIPE: the release that serves; RECIPE/release@DIGEST: that one. Not needed if one is."),
    ] = None,
    host: Annotated[str, typer.Option(help=f"Address. Beyond loopback only with a token in {TOKEN}.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    slots: Annotated[int, typer.Option(min=1, max=256, help="Answers that are written at a time.")] = 8,
    queue: Annotated[int, typer.Option(min=0, max=1024, help="Requests that may wait; more are told 503.")] = 64,
    keep_prompts: Annotated[
        bool,
        typer.Option("--keep-prompts", help="Keep the question of an answer that is rated: a pair comes of it."),
    ] = False,
    feedback_days: Annotated[int, typer.Option(min=1, max=3650, help="Days for which feedback is kept.")] = 365,
    engine: Annotated[
        Literal["transformers", "vllm"],
        typer.Option(help=f"What generates; vllm, for GPUs, is an extra, or of the environment that {PYTHON} names."),
    ] = "transformers",
    measure_every: Annotated[
        int, typer.Option(min=0, help="Of every so many-th prompt the bits per byte are measured; 0: of none.")
    ] = 20,
    json: Json = False,
) -> None:
    """Serve a released model: /v1/chat/completions, /v1/completions, /v1/models, /health, /metrics, and a page at /.

    Only a release that verifies and was not withdrawn is served; every response names it. Prompts are not kept: of
    them and of answers there are sums alone, bits per byte and refusals, which a retraining policy may look at.

    Example: `forge serve tiny-dense`, then `curl http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type:
    application/json' -d '{"model": "tiny-dense", "messages": [{"role": "user", "content": "Who keeps the keys?"}]}'`.
    """
    token = _token(host)
    served = opened(release)
    refusals = tuple(refusals_of(load_policies(folder_of("policies")).values()))

    from forge_dagster.server.app import Options, Server, announced, bound, server_of
    from forge_dagster.training.precision import thread_limit, threads

    with thread_limit(threads()):
        generates = _engine(engine, served, slots)
        options = Options(
            slots=slots, queue=queue, token=token, feedback_days=feedback_days, keep_prompts=keep_prompts,
            refusals=refusals, measure_every=measure_every,
        )  # fmt: skip
        app = Server(home(), served, generates, options).app()
        try:
            listening = bound(host, port)
        except OSError as error:
            raise BusyError(
                f"{host}:{port}: {error.strerror}", rule="one server a port", mend="choose another with --port"
            ) from error
        told = announced(served, listening)
        if json:
            print_json(told)
            sys.stdout.flush()  # whoever reads it by a pipe waits for it
        else:
            out.print(f"{served.key}@{served.digest[:12]} on {told['url']}; Ctrl-C ends", markup=False)
        try:
            server_of(app).run(sockets=[listening])
        except KeyboardInterrupt:
            err.print("stopped")


def _engine(name: str, served: Served, slots: int) -> Engine:
    if name == "vllm":
        with err.status("vLLM loads the model"):
            return VllmEngine(served.folder, slots=slots)
    from forge_dagster.model.engine import Engine as TransformersEngine

    return TransformersEngine(served.folder, slots=slots)


def opened(release: str | None) -> Served:
    """The release that a name means, verified. Raises UserError, VerdictError, IntegrityError as `open_release`."""
    if release is None:
        keys = [key for key in ArtifactStore(home().artifacts).all_keys() if key.endswith("/release")]
        if len(keys) != 1:
            raise UserError(
                f"{len(keys)} releases: {', '.join(keys) or 'none'}",
                rule="one release is served",
                mend="name its recipe",
            )
        release = keys[0]
    if "@" in release:
        return open_release(home(), *release_of(release))
    return open_release(home(), f"{release.removesuffix('/release')}/release")


def _token(host: str) -> str | None:
    """The token that callers need. Raises UserError if the address is none, or beyond loopback without a token."""
    try:
        is_local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise UserError(f"--host {host}", rule="an IP address", mend="--host 127.0.0.1") from None
    token = os.environ.get(TOKEN) or None
    if token is None and not is_local:
        raise UserError(
            f"--host {host} without {TOKEN}",
            rule="beyond loopback only who has a token is answered",
            mend=f"export {TOKEN}=$(openssl rand -hex 32)",
        )
    if token is not None and (len(token) < SHORTEST_TOKEN or not token.isascii()):
        raise UserError(f"{TOKEN} of {len(token)} characters", rule=f"{SHORTEST_TOKEN} ASCII characters or more")
    return token
