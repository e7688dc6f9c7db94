"""Signing keys: private ones as files that their owner alone reads, public ones in a registry with their validity."""

import hashlib
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import AwareDatetime, Field, ValidationError, model_validator

from forge_dagster.errors import IntegrityError, UserError
from forge_dagster.override import Person, Reason
from forge_dagster.provenance.files import write_atomically
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.source import Name
from forge_dagster.stage import FrozenModel

REGISTRY = "registry.json"
CLOCKS_DIFFER = timedelta(minutes=5)
"""By so much the clocks of two machines that share a ledger may differ."""


class Key(FrozenModel):
    """One public key: whose it is and when its signatures count."""

    kid: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the public key in DER")
    name: Name
    owner: Person
    public: str = Field(description="public key, PEM")
    valid_from: AwareDatetime
    valid_to: AwareDatetime
    revoked_at: AwareDatetime | None = None
    reason: Reason | None = Field(default=None, description="why it was revoked")

    @model_validator(mode="after")
    def ends_after_it_begins(self) -> Self:
        if self.valid_to <= self.valid_from:
            raise ValueError("valid_to is not after valid_from")
        if (self.revoked_at is None) != (self.reason is None):
            raise ValueError("a revoked key has revoked_at and a reason, any other neither")
        return self

    def holds_at(self, time: datetime) -> bool:
        """Whether a signature of this time counts."""
        return self.valid_from <= time <= self.valid_to and (self.revoked_at is None or time < self.revoked_at)


class Registry(FrozenModel):
    """Every key an organisation ever signed with; none is taken out."""

    version: int = 1
    keys: tuple[Key, ...] = ()


class KeyRing:
    """The folder of keys: `registry.json` and `NAME.pem`. What changes in it is stated in the ledger."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.folder, self.ledger = folder, ledger

    def registry(self) -> Registry:
        """The public keys. Raises IntegrityError if their file is none."""
        path = self.folder / REGISTRY
        if not path.exists():
            return Registry()
        try:
            return Registry.model_validate_json(path.read_bytes())
        except (ValidationError, UnicodeDecodeError) as error:
            raise IntegrityError(f"{path} is no registry of keys: {error}", mend="restore it from a copy") from error

    def new(self, name: str, owner: str, days: int) -> Key:
        """Make an EC P-256 key, its file of mode 0600. Raises UserError if the name is taken or no name."""
        path = self.folder / f"{name}.pem"
        if path.exists() or any(key.name == name for key in self.registry().keys):
            raise UserError(f"there is a key {name}", rule="a name is of one key for ever", mend="choose another name")
        private = ec.generate_private_key(ec.SECP256R1())
        public = private.public_key()
        now = datetime.now(UTC).replace(microsecond=0)
        try:
            key = Key(
                kid=kid_of(public),
                name=name,
                owner=owner,
                public=public.public_bytes(
                    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
                ).decode(),
                valid_from=now,
                valid_to=now + timedelta(days=days),
            )
        except ValidationError as error:
            raise UserError(
                f"no key {name!r} of {owner!r}: {error.errors()[0]['msg']}",
                rule="a name of lower-case letters, digits, - and _, and somebody who owns the key",
                mend="correct --name, --owner or --days",
            ) from error
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(
                private.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
            )
        self._keep((*self.registry().keys, key))
        self.ledger.append("key", key.model_dump(mode="json", exclude={"revoked_at", "reason"}))
        return key

    def revoke(self, name: str, reason: str, since: datetime | None = None) -> Key:
        """Revoke a key from `since` on (default: now); what it signed earlier stands. Raises UserError."""
        key = self.key(name)
        if key.revoked_at is not None:
            raise UserError(f"key {name} was revoked at {key.revoked_at.isoformat()}", rule="a key is revoked once")
        at = since or datetime.now(UTC).replace(microsecond=0)
        try:
            revoked = Key.model_validate({**key.model_dump(), "revoked_at": at, "reason": reason})
        except ValidationError as error:
            raise UserError(
                f"key {name} is not revoked: {error.errors()[0]['msg']}",
                rule="a reason of 10 characters or more, a time with its zone",
                mend="correct --reason or --since",
            ) from error
        self._keep(tuple(revoked if each.name == name else each for each in self.registry().keys))
        self.ledger.append(
            "key-revoked", {"kid": key.kid, "name": name, "revoked_at": at.isoformat(), "reason": reason}
        )
        return revoked

    def key(self, name: str) -> Key:
        """The public key of a name. Raises UserError."""
        found = {key.name: key for key in self.registry().keys}
        if name not in found:
            raise UserError(
                f"there is no key {name}",
                rule=f"one of: {', '.join(sorted(found)) or 'none yet'}",
                mend="make one: forge keys new --name NAME --owner PERSON",
            )
        return found[name]

    def signer(self, name: str) -> "Signer":
        """The key of a name, to sign with now.

        Raises UserError if it is not valid now, its file is not private, or the clock is behind the ledger.
        """
        key, path = self.key(name), self.folder / f"{name}.pem"
        now = datetime.now(UTC)
        self._clock_is_right(now)
        if not key.holds_at(now):
            raise UserError(
                f"key {name} does not count at {now.isoformat(timespec='seconds')}: valid from "
                f"{key.valid_from.isoformat()} to {key.valid_to.isoformat()}"
                + (f", revoked at {key.revoked_at.isoformat()} ({key.reason})" if key.revoked_at else ""),
                rule="a signature counts if its key is valid when it is made",
                mend="sign with another key, or set the clock of this machine right",
            )
        return Signer(key, _private(path, key), path)

    def _clock_is_right(self, now: datetime) -> None:
        last = max((datetime.fromisoformat(entry["time"]) for entry in self.ledger.entries()), default=now)
        if now < last - CLOCKS_DIFFER:
            raise UserError(
                f"this machine's clock says {now.isoformat(timespec='seconds')}, and the ledger has a statement of "
                f"{last.isoformat()}",
                rule="a signature counts if its key was valid at the ledger's time, so that time does not run back",
                mend="set the clock right; if it was wrong earlier, wait until that time has come",
            )

    def _keep(self, keys: tuple[Key, ...]) -> None:
        body = Registry(keys=keys).model_dump_json(indent=1)
        write_atomically(self.folder / REGISTRY, body.encode() + b"\n")


class Signer:
    """A private key that may sign now; `path` is its file."""

    def __init__(self, key: Key, private: ec.EllipticCurvePrivateKey, path: Path) -> None:
        self.key, self.private, self.path = key, private, path


def kid_of(public: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 (hex) of a public key in DER."""
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def _private(path: Path, key: Key) -> ec.EllipticCurvePrivateKey:
    if not path.is_file():
        raise UserError(
            f"{path} is missing",
            rule="its owner signs where the private key lies",
            mend="bring the file, or make a key",
        )
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise UserError(
            f"{path} has the permissions {mode:04o}",
            rule="a private key is read by its owner alone (0600)",
            mend=f"chmod 600 {path}; if others may have read it: forge keys revoke {key.name}",
        )
    try:
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except PermissionError as error:
        raise UserError(
            f"{path} has the permissions {mode:04o}, and this user may not read it",
            rule="a private key is read by its owner alone (0600)",
            mend=f"chmod 600 {path}, or sign as its owner",
        ) from error
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is no private key: {error}", rule="PEM without a password") from error
    if not isinstance(private, ec.EllipticCurvePrivateKey) or kid_of(private.public_key()) != key.kid:
        raise UserError(
            f"{path} is another key than {key.name} of the registry",
            rule="one name, one key",
            mend="bring its own file",
        )
    return private
