"""Every check of a bundle, in order; each adds what it found to one list of problems."""

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from forge_dagster.bundle.verifier import merkle, scores, seals
from forge_dagster.bundle.verifier.chain import own
from forge_dagster.bundle.verifier.opened import Opened

VERSION = 2
AHEAD = timedelta(minutes=5)  # by so much clocks may differ
PROVENANCE = "https://slsa.dev/provenance/v1"
SEAL = "https://forge-dagster/seal/v1"
SERVICE = "https://forge-dagster/service/v1"
SIGNED = {"approval": "https://forge-dagster/approval/v1", "promoted": SERVICE, "rolled-back": SERVICE}
OUTER = ("manifest.json", "ledger.jsonl", "model.sig", "seal.json")


@dataclass
class Checked:
    """What a verification read, what it says of it, and every problem."""

    bundle: Opened
    trusted: list[str]
    heads: list[str]
    newer: dict[str, Any] | None = None
    manifest: dict[str, Any] = field(default_factory=dict)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    records: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    documents: list[dict[str, Any]] = field(default_factory=list)
    sealed_by: dict[str, Any] = field(default_factory=dict)
    keys: seals.Keys | None = None
    approvals: list[dict[str, Any]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def digest_of(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of a value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def check(bundle: Opened, trusted: list[str], heads: list[str], newer: dict[str, Any] | None = None) -> Checked:
    """Check everything; `newer` is a later registry, which knows of later revocations.

    A part that cannot be read is a problem, and what rests on it is not checked.
    """
    found = Checked(bundle, trusted, heads, newer, problems=list(bundle.problems))
    _try(_files, found)
    if found.manifest.get("version") != VERSION:
        return found  # what else differs would only hide why
    for step in (_ledger, _seal, _records, _attestations, _model, _scores, _documents, _people):
        _try(step, found)
    return found


def _try(step: Callable[[Checked], None], found: Checked) -> None:
    try:
        step(found)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OSError, EOFError, zlib.error) as error:
        found.problems.append(f"{step.__name__.strip('_')}: {error if str(error) else type(error).__name__}")


def _files(found: Checked) -> None:
    """Every file is listed and has the digest that the manifest says."""
    bundle = found.bundle
    found.manifest = manifest = bundle.json("manifest.json")
    if manifest.get("version") != VERSION:
        found.problems.append(
            f"this is a bundle of version {manifest.get('version')}, and this verifier reads {VERSION}: use the "
            "verify.py that came with it"
        )
        return
    stated = manifest["files"]
    inner = {name for name in bundle.sha256 if name not in OUTER and not name.startswith("attestations/")}
    for name in sorted(inner | set(stated)):
        if name not in bundle.sha256:
            found.problems.append(f"{name}: missing")
        elif name not in stated:
            found.problems.append(f"{name}: not in the manifest")
        elif (bundle.sha256[name], bundle.sizes[name]) != (stated[name]["sha256"], stated[name]["bytes"]):
            found.problems.append(f"{name}: differs from the manifest")
    found.said.append(f"{len(bundle.sha256)} files, {sum(bundle.sizes.values()):,} bytes: hashed and compared")


def _ledger(found: Checked) -> None:
    """The chain holds from the first statement to the one that states this bundle, and a known head is in it."""
    previous, time = "0" * 64, ""
    lines = found.bundle.data["ledger.jsonl"].split(b"\n")
    if lines[-1]:
        found.problems.append("ledger.jsonl: its last line is cut off")
    for number, line in enumerate(lines[:-1]):
        entry = json.loads(line)
        body = {name: value for name, value in entry.items() if name != "hash"}
        if (entry["sequence"], entry["previous"], digest_of(body)) != (number, previous, entry["hash"]):
            raise ValueError(f"ledger.jsonl, line {number + 1}: the chain is broken here")
        if entry["time"] < time:
            found.said.append(f"warning: the clock went back before statement {number} ({time} to {entry['time']})")
        previous, time = entry["hash"], entry["time"]
        found.ledger.append(entry)
    if datetime.fromisoformat(time) > datetime.now(UTC) + AHEAD:
        found.said.append(f"warning: sealed at {time}, which this machine's clock has still to reach: one is wrong")
    last = found.ledger[-1]
    if last["kind"] != "bundle" or last["statement"]["manifest"] != found.bundle.sha256["manifest.json"]:
        found.problems.append("ledger.jsonl: its last statement is not of this bundle's manifest")
    known = {entry["hash"] for entry in found.ledger}
    for head in found.heads:
        if not any(hash_.startswith(head) for hash_ in known):
            found.problems.append(f"ledger.jsonl: the head {head[:16]} that you were told is not in this chain")
    found.said.append(f"{len(found.ledger)} statements of the ledger: chained, head {previous}")


def _seal(found: Checked) -> None:
    """The seal is of this manifest, this ledger and these signatures, by a key that counts at the ledger's time."""
    bundle, last = found.bundle, found.ledger[-1]
    registry, envelope = bundle.json("keys.json"), bundle.json("seal.json")
    found.keys = seals.Keys(registry, found.trusted, found.newer)
    _registered(found, registry)
    statement, key = seals.opened(envelope, found.keys, last["time"])
    again = json.dumps(envelope, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    payload, said = envelope["payload"], statement["predicate"]
    if again != bundle.data["seal.json"] or base64.b64encode(base64.b64decode(payload)).decode() != payload:
        found.problems.append("seal.json: written otherwise than it was signed")
    sealed = {each["name"]: each["digest"]["sha256"] for each in statement["subject"]}
    present = {name: bundle.sha256.get(name, "missing") for name in (*sealed, *bundle.below("attestations"))}
    differ = sorted(name for name in {*sealed, *present} if sealed.get(name) != present.get(name))
    found.problems += [f"{name}: differs from the seal" for name in differ]
    wanted = (found.manifest["key"], found.manifest["digest"], last["hash"], last["statement"]["kid"])
    if statement["predicateType"] != SEAL or (said["key"], said["digest"], said["head"], key["kid"]) != wanted:
        found.problems.append("seal.json: it is of another release, another ledger or another key")
    found.sealed_by = key
    trust = "a key you trust" if found.trusted else "nobody told this verifier which key to trust: --trust KEY_ID"
    found.said.append(f"sealed by {key['owner']} at {last['time']} with key {key['kid']} ({trust})")


def _keys(found: Checked) -> seals.Keys:
    if found.keys is None:
        raise ValueError("not checked, for the keys cannot be read")
    return found.keys


def _registered(found: Checked, registry: dict[str, Any]) -> None:
    """The registry says what the ledger says of each key."""
    made = {entry["statement"]["kid"]: entry["statement"] for entry in found.ledger if entry["kind"] == "key"}
    revoked = {e["statement"]["kid"]: e["statement"]["revoked_at"] for e in found.ledger if e["kind"] == "key-revoked"}
    for key in registry["keys"]:
        said = made.get(key["kid"])
        if said is None or any(said[name] != key[name] for name in said):
            found.problems.append(f"keys.json: key {key['name']} is not as the ledger states it")
        at, stated = key["revoked_at"], revoked.get(key["kid"])
        if (at or "").replace("Z", "+00:00") != (stated or "").replace("Z", "+00:00"):
            found.problems.append(f"keys.json: key {key['name']} is revoked at {at}, the ledger says {stated}")


def _records(found: Checked) -> None:
    """Every record is as the ledger states it and follows from itself, and none of the chain is missing."""
    bundle = found.bundle
    stated = {
        (said["key"], said["digest"], said["fingerprint"]): said["record"]
        for said in (entry["statement"] for entry in found.ledger if entry["kind"] == "artifact")
    }
    for name in bundle.below("records"):
        record = bundle.json(name)
        key, digest = record["identity"]["key"], record["digest"]
        if stated.get((key, digest, record["fingerprint"])) != bundle.sha256[name]:
            found.problems.append(f"{name}: not as the ledger states it")
        if digest_of(record["identity"]) != record["fingerprint"] or digest_of(record["files"]) != digest:
            found.problems.append(f"{name}: its digests do not follow from it")
        found.records[key, digest] = record
    for record in list(found.records.values()):
        for source in record["identity"]["inputs"].values():
            if source["key"] is not None and (source["key"], source["digest"]) not in found.records:
                found.problems.append(f"the record of {source['key']}@{source['digest'][:12]} is missing")
    release = found.records[found.manifest["key"], found.manifest["digest"]]
    files = {f"release/{name}": entry["sha256"] for name, entry in release["files"].items()}
    if files != {name: bundle.sha256[name] for name in bundle.below("release")}:
        found.problems.append("release: its files are not those of its record")
    found.said.append(f"{len(found.records)} records: as the ledger states them, from the release to the raw documents")


def _attestations(found: Checked) -> None:
    """One signed provenance statement for each record, and it says the same."""
    names = found.bundle.below("attestations")
    if [name.split("/")[1] for name in names] != [name.split("/")[1] for name in found.bundle.below("records")]:
        found.problems.append("attestations: not one for each record")
    for name in names:
        statement, _ = seals.opened(found.bundle.json(name), _keys(found), found.ledger[-1]["time"])
        record = found.bundle.json(name.replace("attestations/", "records/"))
        subject = {each["name"]: each["digest"]["sha256"] for each in statement["subject"]}
        build = statement["predicate"]["buildDefinition"]
        sources = {each["name"]: each["digest"]["sha256"] for each in build["resolvedDependencies"]}
        if (
            statement["predicateType"] != PROVENANCE
            or subject != {file: entry["sha256"] for file, entry in record["files"].items()}
            or sources != {source: ref["digest"] for source, ref in record["identity"]["inputs"].items()}
            or build["externalParameters"] != {"key": record["identity"]["key"], "config": record["identity"]["config"]}
        ):
            found.problems.append(f"{name}: says otherwise than the record")
    found.said.append(f"{len(names)} provenance statements (SLSA v1 in DSSE): signed, and as the records")


def _model(found: Checked) -> None:
    """The OpenSSF model signature names these files and no other."""
    files = seals.model_files(found.bundle.json("model.sig"), found.sealed_by)
    prefix = "release/model/"
    present = {n.removeprefix(prefix): found.bundle.sha256[n] for n in found.bundle.below("release/model")}
    if files != present:
        found.problems.append("model.sig: it is the signature of another model")
    found.said.append(f"OpenSSF model signature: of these {len(files)} files")


def _scores(found: Checked) -> None:
    """Scores follow from the results of items, verdicts from scores."""
    card, release = found.bundle.json("release/scorecard.json"), found.bundle.json("release/manifest.json")
    made, problems = scores.check_scores(found.bundle.data["evidence.jsonl"], card)
    stated = [entry["statement"] for entry in found.ledger if entry["kind"] == "override"]
    answered = {
        each["metric"]
        for each in release["overrides"]
        if any(each.items() <= statement.items() for statement in stated)
    }
    again, interval, more = scores.check_gates(release["recipe"], card, release["gates"], answered)
    found.problems += problems + more
    found.said.append(
        f"{made} scores made again from results of items; {again} gates judged again, {interval} compared by the "
        "interval that the scorecard states"
    )


def _documents(found: Checked) -> None:
    """The documents add up, and those trained on have the root that is stated."""
    lines = gzip.decompress(found.bundle.data["documents/documents.jsonl.gz"]).splitlines()
    found.documents = [json.loads(line) for line in lines]
    tree = found.bundle.json("documents/tree.json")
    use = found.bundle.json("documents/use.json")
    trained = sorted({row["id"] for row in found.documents if row.get("split") == "train"})
    learnt = sorted({*trained, *(row["id"] for row in use["former"])})
    if (tree["root"], tree["count"]) != (merkle.root_of(learnt), len(learnt)):
        found.problems.append("documents/tree.json: not the root over the documents that were trained on")
    counts = {
        key: record["report"]["counts"]
        for key, record in own(found.records, (found.manifest["key"], found.manifest["digest"])).items()
    }
    raw = [count for key, count in counts.items() if key.startswith("raw_documents/")]
    read = sum(count[kind] for count in raw for kind in ("kept", "dropped", "quarantined"))
    if raw and read != len(found.documents):
        found.problems.append(f"documents: {len(found.documents):,} are listed, the records count {read:,}")
    if "corpus" in counts and counts["corpus"]["train"] != len(trained):
        found.problems.append(
            f"documents: {len(trained):,} trained on, not {counts['corpus']['train']:,} as the corpus says"
        )
    unread = [row for row in found.documents if row.get("split") == "train" and "read" not in row]
    if unread:
        found.problems.append(f"documents: of {len(unread):,} trained on it is not said how often they were read")
    if any(row["outcome"] not in ("kept", "dropped", "quarantined") for row in found.documents):
        found.problems.append("documents: one has no disposition")
    found.said.append(f"{len(found.documents):,} documents add up; Merkle root over {len(learnt):,} trained on")


def _people(found: Checked) -> None:
    """What people signed of this release, each by a key that counted then; nobody approves what they sealed."""
    keys = seals.Keys(found.bundle.json("keys.json"), [])
    moves = 0
    for entry in found.ledger:
        said, kind = entry["statement"], entry["kind"]
        if kind not in SIGNED or said["digest"] != found.manifest["digest"]:
            continue
        statement, key = seals.opened(said["envelope"], keys, entry["time"])
        subject = [{"name": said["key"], "digest": {"sha256": said["digest"]}}]
        if (statement["subject"], statement["predicateType"], key["kid"]) != (subject, SIGNED[kind], said["kid"]):
            found.problems.append(f"{kind} of {entry['time']}: its signature is of something else")
        elif kind != "approval":
            moves += 1
        elif key["owner"].casefold() == found.sealed_by["owner"].casefold():
            found.said.append(f"warning: {key['owner']} both sealed and approved: not counted, for no second person")
        else:
            found.approvals.append({**said, "owner": key["owner"], "time": entry["time"]})
    found.said.append(f"{len(found.approvals)} approvals by a second person, {moves} promotions and rollbacks: signed")
