"""Every kind of tampering is found, and no honest bundle is accused."""

import base64
import json
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks._small_release import KEY, document_id
from forge_dagster.bundle.archive import entry, write_tar
from forge_dagster.bundle.merkle import Tree
from forge_dagster.bundle.verifier.checks import check, digest_of
from forge_dagster.bundle.verifier.opened import Opened, Unreadable
from forge_dagster.bundle.write import sign_model, write_bundle
from forge_dagster.provenance.canonical import canonical_json
from forge_dagster.signing.dsse import envelope
from forge_dagster.signing.keys import REGISTRY, Registry


def problems(path: Path, *trusted: str, heads: tuple[str, ...] = ()) -> list[str]:
    try:
        return check(Opened(path), list(trusted), list(heads)).problems
    except Unreadable as error:
        return [str(error)]


def altered(
    bundled: Any, tmp_path: Path, change: Callable[[dict[str, bytes]], None], remake: bool = False
) -> list[str]:
    """Problems of a copy whose files were changed; with `remake` the manifest is made to agree."""
    files = bundled.files()
    change(files)
    if remake:
        body = json.loads(files["manifest.json"])
        body["files"] = {name: entry(files[name]) for name in body["files"]}
        files["manifest.json"] = canonical_json(body)
    path = tmp_path / "altered.tar"
    write_tar(files, path)
    return problems(path, bundled.kid)


def test_an_honest_bundle_verifies(bundled: Any):
    assert problems(bundled.path, bundled.kid) == []


@pytest.mark.system
def test_no_false_alarm_on_many_honest_bundles(bundled_in: Callable[..., Any], tmp_path: Path):
    for seed in range(100):
        made = bundled_in(tmp_path / str(seed), seed=seed, documents=2 + seed % 7)
        assert problems(made.path, made.kid) == [], seed


def test_any_flipped_byte_of_the_archive_is_found(bundled: Any, tmp_path: Path):
    data, path = bundled.path.read_bytes(), tmp_path / "flipped.tar"
    for at in [*random.Random(1).sample(range(len(data)), 250), 0, len(data) - 1]:
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :])
        assert problems(path, bundled.kid), f"byte {at}"


def test_any_flipped_file_is_found_in_a_folder(bundled: Any, tmp_path: Path):
    for name in bundled.files():

        def flip(files: dict[str, bytes], name: str = name) -> None:
            at = len(files[name]) // 2
            files[name] = files[name][:at] + bytes([files[name][at] ^ 1]) + files[name][at + 1 :]

        assert altered(bundled, tmp_path, flip), name


def test_any_cut_is_found(bundled: Any, tmp_path: Path):
    data, path = bundled.path.read_bytes(), tmp_path / "cut.tar"
    for at in [*random.Random(2).sample(range(len(data)), 60), 0, 1, 512, len(data) - 512, len(data) - 1]:
        path.write_bytes(data[:at])
        assert problems(path, bundled.kid), f"cut to {at}"


def test_any_file_swapped_dropped_or_added_is_found(bundled: Any, tmp_path: Path):
    names = sorted(bundled.files())
    for name, other in zip(names, names[1:] + names[:1], strict=True):

        def swap(files: dict[str, bytes], name: str = name, other: str = other) -> None:
            files[name], files[other] = files[other], files[name]

        if bundled.files()[name] != bundled.files()[other]:
            assert altered(bundled, tmp_path, swap), (name, other)
        assert altered(bundled, tmp_path, lambda files, name=name: files.pop(name) and None), name
    for name in ("extra.txt", "release/model/extra.bin", "attestations/extra.json"):
        assert altered(bundled, tmp_path, lambda files, name=name: files.update({name: b"{}"})), name


def _rechained(entries: list[dict[str, Any]]) -> bytes:
    previous, lines = "0" * 64, []
    for number, each in enumerate(entries):
        body = {**{k: v for k, v in each.items() if k != "hash"}, "sequence": number, "previous": previous}
        previous = digest_of(body)
        lines.append(canonical_json({**body, "hash": previous}) + b"\n")
    return b"".join(lines)


@pytest.mark.parametrize("rechain", [False, True], ids=["as it is", "chained anew"])
@pytest.mark.parametrize("kind", ["drop", "reorder", "two heads", "edit"])
def test_an_altered_ledger_is_found(bundled: Any, tmp_path: Path, kind: str, rechain: bool):
    count = bundled.files()["ledger.jsonl"].count(b"\n")
    for at in range(count):

        def change(files: dict[str, bytes], at: int = at) -> None:
            entries = [json.loads(line) for line in files["ledger.jsonl"].splitlines()]
            if kind == "drop":
                del entries[at]
            elif kind == "reorder":
                entries[at], entries[at - 1] = entries[at - 1], entries[at]
            elif kind == "two heads":
                entries.insert(at + 1, {**entries[at], "time": "2031-01-01T00:00:00+00:00"})
            else:
                entries[at]["statement"]["actor"] = "user:other"
            lines = b"".join(canonical_json(each) + b"\n" for each in entries)
            files["ledger.jsonl"] = _rechained(entries) if rechain else lines

        assert altered(bundled, tmp_path, change), at


def test_a_head_that_was_told_must_be_in_the_chain(bundled: Any):
    last = json.loads(bundled.files()["ledger.jsonl"].splitlines()[-1])["hash"]
    assert problems(bundled.path, bundled.kid, heads=(last,)) == []
    assert "not in this chain" in problems(bundled.path, bundled.kid, heads=("0" * 64,))[0]


def _edit_score(files: dict[str, bytes]) -> None:
    card = json.loads(files["release/scorecard.json"])
    card["checkpoints"]["base"]["facts.acc"]["value"] = 0.99
    files["release/scorecard.json"] = json.dumps(card).encode()


def _edit_evidence(files: dict[str, bytes]) -> None:
    files["evidence.jsonl"] = files["evidence.jsonl"].replace(b'"value":0.0', b'"value":1.0')


def _edit_report(files: dict[str, bytes]) -> None:
    files["report.html"] = files["report.html"].replace(b"must be at least", b"is far above")


@pytest.mark.parametrize("edit", [_edit_score, _edit_evidence, _edit_report])
def test_an_edited_score_or_report_is_found_though_the_manifest_agrees(bundled: Any, tmp_path: Path, edit: Any):
    assert altered(bundled, tmp_path, edit)
    found = altered(bundled, tmp_path, edit, remake=True)
    assert any("manifest" in problem for problem in found)
    if edit is not _edit_report:
        assert any("facts.acc" in problem for problem in found), "the arithmetic itself does not hold"


def test_the_signature_of_another_model_is_found(bundled: Any, tmp_path: Path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.safetensors").write_bytes(b"other weights")
    signature = sign_model(tmp_path / "other", bundled.ring.signer("releases"))
    found = altered(bundled, tmp_path, lambda files: files.update({"model.sig": signature}))
    assert "model.sig: it is the signature of another model" in found


def test_a_wrong_key_is_found(bundled_in: Any, tmp_path: Path):
    """A forger makes the whole bundle again under a key of the same name: only the key id tells."""
    honest, forged = bundled_in(tmp_path / "honest"), bundled_in(tmp_path / "forged")
    assert problems(forged.path) == []
    assert any("none of those you trust" in problem for problem in problems(forged.path, honest.kid))
    seal = json.loads(honest.files()["seal.json"])
    said = json.loads(base64.b64decode(seal["payload"]))
    other = json.dumps(envelope(said, forged.ring.signer("releases")), indent=1, sort_keys=True).encode() + b"\n"
    found = altered(honest, tmp_path, lambda files: files.update({"seal.json": other}))
    assert any("not in the registry" in problem for problem in found)


@pytest.mark.parametrize("state", ["expired", "not yet valid", "revoked"])
def test_a_key_that_did_not_count_is_found(bundled_in: Any, tmp_path: Path, state: str):
    made = bundled_in(tmp_path)
    signer = made.ring.signer("releases")
    (key,) = made.ring.registry().keys
    early = key.valid_from - timedelta(days=9)
    times = {
        "expired": {"valid_from": early, "valid_to": early + timedelta(days=1)},
        "not yet valid": {"valid_from": key.valid_from + timedelta(days=2)},
        "revoked": {"revoked_at": key.valid_from - timedelta(seconds=1), "reason": "the laptop was stolen"},
    }
    changed = key.model_copy(update=times[state])
    (made.ring.folder / REGISTRY).write_text(Registry(keys=(changed,)).model_dump_json())
    made.ring.ledger.append("key", changed.model_dump(mode="json", exclude={"revoked_at", "reason"}))
    if changed.revoked_at:
        made.ring.ledger.append("key-revoked", {"kid": key.kid, "revoked_at": changed.revoked_at.isoformat()})
    write_bundle(made.home, KEY, made.digest, made.ring, signer, made.path)
    wanted = {"expired": "had expired", "not yet valid": "not yet valid", "revoked": "was revoked"}[state]
    assert any(wanted in problem for problem in problems(made.path, made.kid))


def test_a_bundle_of_before_a_revocation_stands_and_one_of_after_is_refused(bundled_in: Any, tmp_path: Path):
    made = bundled_in(tmp_path)
    signer = made.ring.signer("releases")
    made.ring.revoke("releases", "the laptop was stolen")
    assert problems(made.path, made.kid) == []
    since = made.ring.registry().model_dump(mode="json")
    since["keys"][0]["revoked_at"] = "2020-01-01T00:00:00Z"
    told = check(Opened(made.path), [made.kid], [], since).problems
    assert any("was revoked at 2020" in problem for problem in told), "a newer registry knows of it"
    write_bundle(made.home, KEY, made.digest, made.ring, signer, made.path)
    assert any("was revoked" in problem for problem in problems(made.path, made.kid))


def test_a_bundle_of_another_version_says_so(bundled: Any, tmp_path: Path):
    def older(files: dict[str, bytes]) -> None:
        files["manifest.json"] = files["manifest.json"].replace(b'"version":2', b'"version":1')

    (said,) = altered(bundled, tmp_path, older)
    assert said.startswith("this is a bundle of version 1, and this verifier reads 2")


def test_the_verifier_of_a_bundle_runs_alone(bundled: Any, tmp_path: Path):
    """With nothing of this project to import, the fifteen questions and the proofs of one document."""
    folder = tmp_path / "taken"
    for name, data in bundled.files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    tree = Tree([document_id(number) for number in range(5)])
    proofs = {document_id(number): number < 5 for number in range(8)}
    blocked = "import sys; sys.modules['pyarrow'] = sys.modules['pydantic'] = sys.modules['dagster'] = None; "
    run = blocked + "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    for given, included in proofs.items():
        (tmp_path / "proof.json").write_text(json.dumps(tree.prove(given)))
        arguments = ["--questions", "--trust", bundled.kid, "--proof", str(tmp_path / "proof.json")]
        code = run.replace("import sys; ", f"import sys; sys.argv = {[str(folder / 'verify.py'), *arguments]!r}; ", 1)
        done = subprocess.run([sys.executable, "-I", "-c", code], cwd="/", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("VERIFIED\n")
        assert "\n15. " in done.stdout
        assert (f"{given} is one of the 5" if included else f"{given} is none of the 5") in done.stdout
    (folder / "release" / "model" / "config.json").write_text("{ }")
    done = subprocess.run([sys.executable, str(folder / "verify.py")], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "release/model/config.json: differs from the manifest" in done.stderr
