"""Objects below a prefix of an S3 bucket: conditional puts, checksums that the server verifies, waits that end."""

import base64
import hashlib
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from forge_dagster.errors import ForgeError, IntegrityError, RemoteError, UserError
from forge_dagster.provenance.files import CHUNK

URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9_=-][A-Za-z0-9._=-]*)*)/?")
CONNECT_SECONDS, SILENT_SECONDS, TRIES = 5, 20, 3
"""Seconds for a connection, and of silence, before one of so many tries of a request is given up."""
CONNECTIONS = 16
SMALL, PART = 64 << 20, 64 << 20
"""Bytes of a value that is read whole, and of a part of a large file, at most."""
ONE_PUT = 1 << 30
"""Bytes of a file that is put in one request, at most; S3 takes no SHA-256 of the whole for one put in parts."""
WRITER = "writer"
"""Metadata that tells whose put an object is: an answer that was lost does not make a winner think that it lost."""
LOST = ("PreconditionFailed", "NoSuchKey", "404")
AGAIN = "ConditionalRequestConflict"
DIFFERS = ("BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch")


@dataclass(frozen=True)
class Seen:
    """A value as it was read; `age` in seconds since it was put, by the clock of the server."""

    data: bytes
    etag: str
    age: float


class Listed(NamedTuple):
    """An object of a listing; `age` as of Seen."""

    name: str
    age: float


class Bucket:
    """Names are relative to the prefix. Every method raises RemoteError if the server fails or is silent for long,
    UserError if there is no such bucket."""

    def __init__(self, url: str) -> None:
        found = URL.fullmatch(url)
        if found is None:
            raise UserError(f"FORGE_STORE={url!r}", rule="s3://BUCKET or s3://BUCKET/PREFIX", mend="correct it")
        self.url, self.bucket, self.prefix = url.rstrip("/"), found[1], found[2].removeprefix("/")
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        retries = {"total_max_attempts": TRIES, "mode": "standard"}
        waits = {"connect_timeout": CONNECT_SECONDS, "read_timeout": SILENT_SECONDS}
        try:
            self._client: Any = boto3.session.Session().client(
                "s3", config=Config(max_pool_connections=CONNECTIONS, retries=retries, **waits)
            )
        except (BotoCoreError, ValueError) as error:
            raise UserError(
                f"FORGE_STORE={url}: {error}",
                rule="endpoint, region and credentials are those of the usual AWS variables or the AWS profile",
                mend="correct AWS_ENDPOINT_URL, AWS_DEFAULT_REGION and AWS_PROFILE",
            ) from error

    def url_of(self, name: str) -> str:
        """Address of an object, for people."""
        return f"{self.url}/{name}"

    def read(self, name: str) -> Seen | None:
        """A small value; None if there is none. Raises IntegrityError if it is larger than any of ours."""
        parts: list[bytes] = []
        found = self._get(name, parts.clear, parts.append, SMALL)
        return None if found is None else Seen(b"".join(parts), found["ETag"], _age(found, found["LastModified"]))

    def put(self, name: str, data: bytes) -> None:
        """Put a small value, whatever is there."""
        with self._telling(f"write {name} to"):
            self._put(name, data, _sha256(data))

    def swap(self, name: str, data: bytes, seen: Seen | None) -> bool:
        """Put a small value if what is there is still what was seen; None: nothing. Return whether it was put."""
        from botocore.exceptions import ClientError

        condition = {"IfNoneMatch": "*"} if seen is None else {"IfMatch": seen.etag}
        writer = secrets.token_hex(16)
        with self._telling(f"write {name} to"):
            for left in reversed(range(TRIES)):
                try:
                    self._put(name, data, _sha256(data), Metadata={WRITER: writer}, **condition)
                    return True
                except ClientError as error:
                    code = error.response["Error"]["Code"]
                    if code in LOST:
                        return self._writer(name) == writer
                    if code != AGAIN or left == 0:  # two at once: S3 asks both to try again
                        raise
        raise AssertionError(TRIES)

    def listed(self, below: str, after: str = "") -> Iterator[Listed]:
        """Objects whose name begins with `below` and sorts after `after`, in sorted order."""
        start = {"StartAfter": self._key(after)} if after else {}
        with self._telling(f"list {below} of"):
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._key(below), **start
            ):
                for each in page.get("Contents", ()):
                    name = each["Key"].removeprefix(f"{self.prefix}/" if self.prefix else "")
                    yield Listed(name, _age(page, each["LastModified"]))

    def names(self, below: str, after: str = "") -> list[str]:
        """Names of `listed`."""
        return [each.name for each in self.listed(below, after)]

    def delete(self, name: str) -> None:
        """Delete an object, if it is there."""
        with self._telling(f"delete {name} from"):
            self._client.delete_object(Bucket=self.bucket, Key=self._key(name))

    def send(self, name: str, path: Path, sha256: str) -> None:
        """Put a file; the server holds what arrives against its SHA-256 (hex), of large ones part by part.

        Raises IntegrityError if the bytes are no longer those that were hashed.
        """
        from boto3.s3.transfer import TransferConfig

        with self._telling(f"write {path} to"):
            if path.stat().st_size <= ONE_PUT:
                with path.open("rb") as stream:
                    self._put(name, stream, sha256)
            else:
                self._client.upload_file(
                    str(path),
                    self.bucket,
                    self._key(name),
                    ExtraArgs={"ChecksumAlgorithm": "SHA256"},
                    Config=TransferConfig(multipart_threshold=ONE_PUT, multipart_chunksize=PART, use_threads=False),
                )

    def fetch(self, name: str, path: Path, sha256: str, size: int) -> None:
        """Write an object to a file. Raises IntegrityError naming it unless it has this SHA-256 (hex) and size."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            state = [hashlib.sha256()]

            def begin() -> None:
                stream.seek(0)
                stream.truncate()
                state[0] = hashlib.sha256()

            def take(block: bytes) -> None:
                stream.write(block)
                state[0].update(block)

            found = self._get(name, begin, take, size)
            written = stream.tell()
        if found is None or written != size or state[0].hexdigest() != sha256:
            what = "is missing" if found is None else "differs from its record"
            raise IntegrityError(
                f"{self.url_of(name)} {what}",
                rule=f"SHA-256 {sha256[:12]}, {size} bytes",
                mend="on a machine that has the version whole: forge share --again KEY@DIGEST",
            )

    def _get(
        self, name: str, begin: Callable[[], None], take: Callable[[bytes], object], most: int
    ) -> dict[str, Any] | None:
        """Give the blocks of an object to `take`, after `begin`, which is called again where a stream broke off."""
        from botocore.exceptions import BotoCoreError, ClientError

        with self._telling(f"read {name} from"):
            for left in reversed(range(TRIES)):
                begin()
                try:
                    found: dict[str, Any] = self._client.get_object(Bucket=self.bucket, Key=self._key(name))
                except ClientError as error:
                    if error.response["Error"]["Code"] == "NoSuchKey":
                        return None
                    raise
                if found["ContentLength"] > most:
                    raise IntegrityError(
                        f"{self.url_of(name)} has {found['ContentLength']} bytes",
                        rule=f"{most} at most",
                        mend="see who else writes to this bucket",
                    )
                try:
                    for block in found["Body"].iter_chunks(CHUNK):
                        take(block)
                    return found
                except BotoCoreError:  # the request itself was begun anew by botocore, a stream that breaks is not
                    if left == 0:
                        raise
        raise AssertionError(TRIES)

    def _put(self, name: str, data: bytes | BinaryIO, sha256: str, **more: Any) -> None:
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        self._client.put_object(
            Bucket=self.bucket,
            Key=self._key(name),
            Body=data,
            ChecksumAlgorithm="SHA256",
            ChecksumSHA256=checksum,
            **more,
        )

    def _writer(self, name: str) -> str | None:
        from botocore.exceptions import ClientError

        try:
            found = self._client.head_object(Bucket=self.bucket, Key=self._key(name))
        except ClientError as error:
            if error.response["Error"]["Code"] in LOST:
                return None
            raise
        writer: str | None = found["Metadata"].get(WRITER)
        return writer

    def _key(self, name: str) -> str:
        if any(part in ("", ".", "..") for part in name.rstrip("/").split("/")):
            raise UserError(f"{name!r} in {self.url}", rule="names that stay below the prefix", mend="see FORGE_STORE")
        return f"{self.prefix}/{name}" if self.prefix else name

    @contextmanager
    def _telling(self, did: str) -> Iterator[None]:
        """Failures of the server in our words."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        begun = time.monotonic()
        try:
            yield
        except (BotoCoreError, ClientError, Boto3Error) as error:
            raise self._failure(did, error, time.monotonic() - begun) from error

    def _failure(self, did: str, error: Exception, seconds: float) -> ForgeError:
        code = getattr(error, "response", {}).get("Error", {}).get("Code")
        if code == "NoSuchBucket":
            return UserError(
                f"FORGE_STORE={self.url}: there is no bucket {self.bucket}",
                rule="the bucket exists before anything is shared in it",
                mend="make it, or correct FORGE_STORE and AWS_ENDPOINT_URL",
            )
        if code in DIFFERS:
            return IntegrityError(
                f"could not {did} {self.url}: the bytes that arrived are not those that were hashed ({code})",
                rule="nothing is kept that differs from its SHA-256",
                mend="`forge fsck` says whether the disk is at fault; then run the same command again",
            )
        return RemoteError(
            f"could not {did} {self.url} within {seconds:.0f} s: {type(error).__name__}: {error}",
            rule="what stands here and there stays, and nothing half-carried is ever visible",
            mend="see that the store is up and lets you in (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ...), then run the "
            "same command again; without FORGE_STORE this home is looked at alone",
        )


def _age(response: dict[str, Any], modified: datetime) -> float:
    """Seconds between a change and the answer that tells of it, both by the server's clock."""
    said = response["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = parsedate_to_datetime(said) if said else datetime.now(UTC)
    return max(0.0, (now - modified).total_seconds())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
