"""vLLM as the engine of a server: a process of its own, spoken to in token ids over a socket of this user alone.

It may be of another Python than this one, for vLLM has an exact torch and its own idea of other libraries' versions.
"""

import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from forge_dagster.errors import ForgeError, UserError
from forge_dagster.tokens.control import END_OF_TEXT_ID, ENDS
from forge_dagster.tokens.encoding import load_encoder

PYTHON = "FORGE_VLLM"  # environment variable: the Python that has vLLM, where this one has not
NAME = "release"
LOADING = 900.0  # seconds that weights, compilation and the cache may take
STOPPING = 20.0  # seconds
TAIL = 2_000  # characters of its output that an error shows
# The process ends with the one that started it, however that ends (prctl(2), PR_SET_PDEATHSIG).
BOOT = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


def python_with_vllm() -> str:
    """The interpreter that has vLLM. Raises UserError if none is known."""
    named = os.environ.get(PYTHON)
    if named and not os.access(named, os.X_OK):
        raise UserError(f"{PYTHON}={named}", rule="a Python that has vLLM", mend=f"export {PYTHON}=DIR/bin/python")
    if named or importlib.util.find_spec("vllm"):
        return named or sys.executable
    raise UserError(
        "--engine vllm without vLLM",
        rule="the extra vllm, here or in another environment",
        mend=f"pip install '.[vllm]' in an environment without the lock, and export {PYTHON}=ITS/bin/python",
    )


class VllmEngine:
    """A Hugging Face folder served by vLLM to at most `slots` prompts at a time; variables VLLM_* reach it."""

    def __init__(self, folder: Path, *, slots: int) -> None:
        config = json.loads((folder / "config.json").read_bytes())
        self.encoder = load_encoder(folder)
        self.context = int(config["max_position_embeddings"])
        self._scratch = tempfile.TemporaryDirectory(prefix="forge-vllm-")  # readable by its owner alone
        self._socket, self._log = (Path(self._scratch.name) / name for name in ("socket", "log"))
        options = {
            "model": folder, "served-model-name": NAME, "uds": self._socket,
            "max-model-len": self.context, "max-num-seqs": slots,
            # As it was trained, where vLLM would take float16 for float32.
            "dtype": config.get("dtype", "auto"),
            # What is sampled is what was asked, not what a file in the folder says.
            "generation-config": "vllm",
        }  # fmt: skip
        # A shared prefix answers faster, by which one user can find out what another asked.
        flags = ["--skip-tokenizer-init", "--no-enable-prefix-caching", "--disable-log-stats"]
        said = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [python_with_vllm(), "-c", BOOT, "-m", "vllm.entrypoints.openai.api_server", *said, *flags],
                env={**os.environ, "VLLM_NO_USAGE_STATS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._await_loaded()
        except BaseException:
            self.stop()
            raise

    def _await_loaded(self) -> None:
        began = time.monotonic()
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(self._socket)), base_url="http://vllm") as client:
            while time.monotonic() - began < LOADING:
                self._need_alive()
                with suppress(httpx.TransportError):  # it is bound long before it listens
                    if self._socket.exists() and client.get("/health").is_success:
                        return
                time.sleep(0.2)
        raise self._stopped(f"it did not answer within {LOADING:.0f} s")

    def _need_alive(self) -> None:
        if not self.is_alive:
            raise self._stopped(f"it ended with {self._process.returncode}")

    def start(self) -> None:
        """Open the connections, of the event loop that runs."""
        transport = httpx.AsyncHTTPTransport(uds=str(self._socket), limits=httpx.Limits(max_connections=None))
        self._client = httpx.AsyncClient(transport=transport, base_url="http://vllm", timeout=None)

    def stop(self) -> None:
        """End the process and all below it."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOPPING)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        with suppress(ProcessLookupError):  # what it left behind, if it was killed
            os.killpg(self._process.pid, signal.SIGKILL)
        self._scratch.cleanup()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    async def surprise(self, text: str) -> tuple[float, int]:
        """Surprise at a text as a document [bits], and the UTF-8 bytes of as much of it as the context holds."""
        ids = [END_OF_TEXT_ID, *self.encoder.encode(text, add_special_tokens=False).ids][: self.context - 1]
        body = {"model": NAME, "prompt": ids, "max_tokens": 1, "prompt_logprobs": 0}
        reply = await self._client.post("/v1/completions", json=body)
        if not reply.is_success:
            raise self._stopped(reply.text)
        told = reply.json()["choices"][0]["prompt_logprobs"]
        nats = -sum(place[str(token)]["logprob"] for token, place in zip(ids[1:], told[1:], strict=True))
        return nats / math.log(2), len(self.encoder.decode(ids[1:], skip_special_tokens=False).encode())

    async def answer(
        self, prompt: list[int], *, most: int, temperature: float, top_p: float, stepwise: bool
    ) -> AsyncGenerator[list[int], None]:
        """Yield the token ids that follow a prompt, as `Engine.answer`."""
        body = {
            "model": NAME, "prompt": prompt, "max_tokens": most, "temperature": temperature, "top_p": top_p,
            "stop_token_ids": list(ENDS), "return_token_ids": True, "stream": stepwise,
        }  # fmt: skip
        self._need_alive()
        try:
            # Whoever leaves closes the connection, at which vLLM ends the generation.
            async with self._client.stream("POST", "/v1/completions", json=body) as reply:
                if not reply.is_success:
                    raise self._stopped((await reply.aread()).decode(errors="replace"))
                if not stepwise:
                    yield _ids(await reply.aread())
                    return
                async for event in _events(reply):
                    yield _ids(event)
        except httpx.TransportError as error:
            raise self._stopped(f"{type(error).__name__} {error}") from error

    def _stopped(self, why: str) -> ForgeError:
        log = self._log.read_text(errors="replace")[-TAIL:] if self._log.exists() else ""
        return ForgeError(f"vLLM stopped: {why}", rule=log.strip(), mend="start `forge serve` again")


async def _events(reply: httpx.Response) -> AsyncIterator[str]:
    async for line in reply.aiter_lines():
        said = line.removeprefix("data: ")
        if said and said != "[DONE]":
            yield said


def _ids(said: str | bytes) -> list[int]:
    told: dict[str, Any] = json.loads(said)
    if "choices" not in told:
        raise ForgeError(f"vLLM stopped: {told.get('error', told)}", mend="start `forge serve` again")
    return list(told["choices"][0]["token_ids"])
