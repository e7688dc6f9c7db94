"""Homes that share a store, by its protocol, on a server on loopback: each home is a machine with a disk of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from s3_server import Server

from forge_dagster.errors import BusyError, IntegrityError, RemoteError, UserError
from forge_dagster.home import PROJECT, Home
from forge_dagster.provenance import bucket as bucket_module
from forge_dagster.provenance import carried, lease
from forge_dagster.provenance.bucket import Bucket
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.place import SharedPlace, only_writer, place
from forge_dagster.provenance.run import Run
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.provenance.verify import verify
from forge_dagster.versions.share import share

On = Callable[[str], AbstractContextManager[Home]]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        made = Server()
        patch.setenv("AWS_ENDPOINT_URL", made.endpoint)
        yield made
        made.stop()


@pytest.fixture
def objects(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The bucket that FORGE_STORE names."""
    found = server.bucket("shared")
    monkeypatch.setenv("FORGE_STORE", "s3://shared/forge")
    yield found
    server.before_put = lambda path: None
    found.objects.all().delete()


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objects: Any) -> On:
    """Be on a machine."""

    @contextmanager
    def machine(name: str) -> Iterator[Home]:
        with monkeypatch.context() as patch:
            patch.setenv("FORGE_HOME", str(tmp_path / name))
            yield Home(tmp_path / name)

    return machine


def shared(home: Home) -> SharedPlace:
    found = place(home.root)
    assert isinstance(found, SharedPlace)
    return found


def kinds(home: Home) -> list[str]:
    return [entry["kind"] for entry in Ledger(home.ledger).entries()]


def test_what_one_machine_made_another_reuses_and_reads(on: On, toy, make):
    first, second = toy("shared_a", "hello "), toy("shared_b", "world")
    with on("one") as home:
        made = make(Run(home, "r1"), "a", first)
        digest = make(Run(home, "r1"), "a/b", second, previous="a").record.digest
    with on("two") as home:
        store = ArtifactStore(home.artifacts)
        assert store.all_keys() == ["a", "a/b"]
        assert json.loads(store.beside("a/b", digest, "run.json") or b"")["run"] == "r1"
        assert store.beside("a/b", digest, "nothing.json") is None
        assert store.standing() == []
        # An input that was never here is brought; what was made there is not made again.
        built = make(Run(home, "r2"), "c", toy("shared_c", "!"), previous="a/b")
        assert (built.folder / "content" / "text.txt").read_text() == "hello world!"
        again = make(Run(home, "r3"), "a", first)
        assert again.reused
        assert (again.record, again.findings) == (made.record, made.findings)
        assert (again.folder / "beside" / "times.txt").read_text() == "now"
        targets = [(key, str(store.current(key))) for key in ("a", "a/b", "c")]
        assert verify(home.artifacts, home.ledger, targets).problems == []
        assert kinds(home) == ["artifact", "current"] * 3
    with on("one") as home:
        assert ArtifactStore(home.artifacts).current("c") == built.record.digest
        assert kinds(home) == ["artifact", "current"] * 3


def test_steps_of_one_run_on_two_machines(on: On, toy, make):
    with on("one") as home:
        make(Run(home, "same"), "a", toy("shared_d", "hello"))
    with on("two") as home:
        run = Run(home, "same")
        built = make(run, "b", toy("shared_e", "!"), previous="a")
        assert (built.folder / "content" / "text.txt").read_text() == "hello!"
        assert set(run.outputs()) == {"a", "b"}
        with pytest.raises(UserError, match="nowhere"):
            make(run, "c", toy("shared_f", "?"), previous="nowhere")
        run.note_error("c", UserError("no version"))
    with on("one") as home:
        assert [each["key"] for each in Run(home, "same").errors()] == ["c"]
        assert json.loads((home.runs / "same" / "inputs.json").read_bytes())["current"] == {}


def test_a_home_without_the_variable_asks_nobody(on: On, toy, make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    with on("one"):
        assert not place(tmp_path / "other").is_shared
        monkeypatch.delenv("FORGE_STORE")
        assert not place(tmp_path / "one").is_shared


def test_the_pointer_moves_once(on: On, toy, make):
    with on("one") as home:
        make(Run(home, "r0"), "a", toy("shared_g", "old"))
        early = Run(home, "r1")
        early.freeze({})
    with on("two") as home:
        other = make(Run(home, "r2"), "a", toy("shared_h", "new"))
        assert other.is_current
    with on("one") as home:
        late = make(early, "a", toy("shared_i", "late"))
        store = ArtifactStore(home.artifacts)
        assert not late.is_current
        assert store.current("a") == other.record.digest
        assert {late.record.digest, other.record.digest} <= set(store.versions("a"))
        # Both saw the same; the first compare-and-swap wins, the second changes nothing.
        assert store.move("a", late.record.digest, other.record.digest)
        assert not store.move("a", other.record.digest, other.record.digest)
        store.unpoint("a")
    with on("two") as home:
        store = ArtifactStore(home.artifacts)
        assert store.current("a") is None
        assert not (home.artifacts / "a" / "CURRENT").exists()
        assert store.move("a", other.record.digest, None)


def alone(home: Home, toy, make, monkeypatch: pytest.MonkeyPatch, name: str) -> Any:
    """A version made in a home that shares nothing yet."""
    with monkeypatch.context() as patch:
        patch.delenv("FORGE_STORE")
        return make(Run(home, "r1"), "a", toy(name, "hello"))


def process(who: str, home: Home) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "FORGE_HOME": str(home.root), "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, str(PROJECT / "tests" / "shared_writer.py"), who]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)


def test_killed_between_files_and_record(on: On, toy, make, monkeypatch: pytest.MonkeyPatch, server: Server):
    with on("one") as home:
        built = alone(home, toy, make, monkeypatch, "shared_j")
        writer = process("one", home)

        def kill(path: str) -> None:
            if "/records/" in path:
                os.kill(writer.pid, signal.SIGKILL)
                raise ConnectionError("nobody is there any more")

        server.before_put = kill
        assert writer.wait(timeout=300) == -signal.SIGKILL
        server.before_put = lambda path: None
        with on("two") as other:
            store = ArtifactStore(other.artifacts)
            assert (store.all_keys(), store.by_fingerprint("a", built.record.fingerprint)) == ([], [])
            assert not store.stands("a", built.record.digest)
        assert shared(home).carried.left_behind() == {}  # it may be on its way
        monkeypatch.setattr(carried, "LEFT_SECONDS", -1.0)
        left = {("a", built.record.digest)}
        assert set(shared(home).carried.left_behind()) == left
        files = shared(home).bucket.names("versions/")
        assert len(files) > 0
        # The other home sweeps, having nothing to share; the first then shares what it has.
        with on("two") as other:
            assert share(other, sweep=True).swept == (f"a@{built.record.digest}",)
        assert shared(home).bucket.names("versions/") == []
        done = share(home, sweep=True)
        assert (done.swept, done.standing, done.statements) == ((), 1, 2)
        assert shared(home).bucket.names("versions/") == files


def test_two_processes_make_one_chain(on: On, toy, make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    with on("one") as home:
        built = alone(home, toy, make, monkeypatch, "shared_k")
    shutil.copytree(tmp_path / "one", tmp_path / "two")  # the same version, made on two machines
    with on("one") as home:
        shared(home)
        assert Ledger(home.ledger).offer() == 2
    writers = [process(name, Home(tmp_path / name)) for name in ("one", "two")]
    for writer in writers:
        _, said = writer.communicate(timeout=300)
        assert writer.returncode == 0, said.decode()
    chains = []
    for name in ("one", "two"):
        with on(name) as home:
            notes = [entry["statement"] for entry in Ledger(home.ledger).of("note")]
            assert sorted((note["who"], note["n"]) for note in notes) == [
                (who, n) for who in ("one", "two") for n in range(12)
            ]
            assert verify(home.artifacts, home.ledger, [("a", built.record.digest)]).problems == []
            chains.append(home.ledger.read_bytes())
            assert ArtifactStore(home.artifacts).versions("a") == [built.record.digest]
    assert chains[0] == chains[1]


def test_a_flipped_byte_is_refused_by_name(on: On, toy, make, objects: Any):
    module = toy("shared_l", "hello")
    with on("one") as home:
        built = make(Run(home, "r1"), "a", module)
    (entry,) = built.record.files.values()
    name = f"forge/versions/a/{built.record.digest}/{entry.sha256}"
    objects.Object(name).put(Body=b"hellO")
    with on("two") as home:
        with pytest.raises(IntegrityError, match=f"s3://shared/{name} differs"):
            make(Run(home, "r2"), "a", module)
        objects.Object(name).put(Body=b"hell")
        with pytest.raises(IntegrityError, match=f"s3://shared/{name} differs"):
            make(Run(home, "r3"), "b", toy("shared_m", "!"), previous="a")
        objects.Object(name).delete()
        with pytest.raises(IntegrityError, match=f"s3://shared/{name} is missing"):
            ArtifactStore(home.artifacts).here("a", built.record.digest)
        assert ArtifactStore(home.artifacts).standing() == []
        assert not list((home.work / "bringing").rglob("*.txt"))
    with on("one") as home:
        share(home, again=[("a", built.record.digest)])
    with on("two") as home:
        assert make(Run(home, "r4"), "a", module).reused


def test_a_version_damaged_here_is_brought_again(on: On, toy, make):
    module = toy("shared_n", "hello")
    with on("one") as home:
        built = make(Run(home, "r1"), "a", module)
        (built.folder / "content" / "text.txt").write_text("hellO")
        assert make(Run(home, "r2"), "a", module).reused
        assert (built.folder / "content" / "text.txt").read_text() == "hello"
        assert "damaged" in kinds(home)


def test_bytes_that_changed_since_they_were_hashed_do_not_leave(on: On, toy, make, monkeypatch: pytest.MonkeyPatch):
    with on("one") as home:
        built = alone(home, toy, make, monkeypatch, "shared_o")
        (built.folder / "content" / "text.txt").write_text("hellO")
        with pytest.raises(IntegrityError, match=r"text\.txt to .*BadDigest"):
            share(home)
        assert shared(home).carried.named() == []


def test_the_first_record_stands(on: On, toy, make, monkeypatch: pytest.MonkeyPatch):
    with on("one") as home:
        record = alone(home, toy, make, monkeypatch, "shared_p").record
        assert ArtifactStore(home.artifacts).share(record) == record
    with on("two") as home:
        mine = alone(home, toy, make, monkeypatch, "shared_p").record
        other = mine.model_copy(update={"report": mine.report.model_copy(update={"metrics": {"loss": 1.0}})})
        assert ArtifactStore(home.artifacts).share(other) == record
        assert ArtifactStore(home.artifacts).record("a", record.digest) == record
        assert not shared(home).bucket.swap(f"records/a/{record.fingerprint}/{record.digest}.json", b"other", None)


def test_a_home_that_was_alone_is_shared_first(on: On, toy, make, monkeypatch: pytest.MonkeyPatch):
    with on("one") as home:
        built = alone(home, toy, make, monkeypatch, "shared_q")
        with pytest.raises(IntegrityError, match="forge share"):
            Ledger(home.ledger).append("note", {})
        done = share(home)
        assert (len(done.versions), done.statements, done.pointers) == (1, 2, ("a/CURRENT",))
        assert share(home).versions == ()
        Ledger(home.ledger).append("note", {})
    with on("two") as home:
        assert ArtifactStore(home.artifacts).current("a") == built.record.digest
        assert kinds(home) == ["artifact", "current", "note"]
    with on("three") as home:
        alone(home, toy, make, monkeypatch, "shared_r")
        for act in (lambda: share(home), lambda: list(Ledger(home.ledger).entries())):
            with pytest.raises(IntegrityError, match="differ at statement"):
                act()


def test_a_gap_and_a_doctored_statement_are_refused(on: On, objects: Any):
    with on("one") as home:
        for number in range(4):
            Ledger(home.ledger).append("note", {"n": number})
    statement = objects.Object("forge/ledger/000000000001.json")
    sound = statement.get()["Body"].read()
    with on("two") as home:
        for harm, said in (
            (sound.replace(b'"n":1', b'"n":7'), "statement 1 of the shared ledger does not follow"),
            (b"rubbish", "no statement"),
            (b"[]\n", "no statement"),
            (None, r"ledger/000000000001\.json is missing"),
        ):
            statement.delete() if harm is None else statement.put(Body=harm)
            with pytest.raises(IntegrityError, match=said):
                Ledger(home.ledger).append("note", {})
        statement.put(Body=sound)
        assert Ledger(home.ledger).append("note", {})["sequence"] == 4


def test_one_machine_holds_a_key(on: On, server: Server, monkeypatch: pytest.MonkeyPatch):
    renewed = threading.Event()
    puts: list[str] = []

    def watch(path: str) -> None:
        puts.append(path)
        if len(puts) > 1:
            renewed.set()

    monkeypatch.setattr(lease, "RENEW_EVERY", 0.01)
    server.before_put = watch
    with on("one") as home, only_writer(home, "a", wait=0, waiting=print):
        assert renewed.wait(60)
        with (
            on("two") as other,
            pytest.raises(BusyError, match=f"a is in the making by process {os.getpid()} of"),
            only_writer(other, "a", wait=0, waiting=print),
        ):
            pass
        monkeypatch.setattr(lease, "RENEW_EVERY", 3600.0)
        monkeypatch.setattr(lease, "LEASE", -1.0)  # an owner that is not heard any more
        with on("two") as other, only_writer(other, "a", wait=60, waiting=print):
            there = shared(other).bucket
            assert not lease._put_over_own(there, "leases/a.json", "one", lease.Held(owner="one"))


def test_a_lease_that_was_given_back_is_free(on: On):
    for name in ("one", "two"):
        with on(name) as home, only_writer(home, "a/b", wait=0, waiting=print):
            pass


def test_an_answer_that_was_lost_makes_no_loser(on: On, monkeypatch: pytest.MonkeyPatch):
    with on("one") as home:
        there = shared(home).bucket
        put = there._put

        def twice(*args: Any, **more: Any) -> None:
            put(*args, **more)
            put(*args, **more)  # what botocore does when the answer to the first never came

        monkeypatch.setattr(there, "_put", twice)
        assert there.swap("ledger/x.json", b"mine", None)
        assert not there.swap("ledger/x.json", b"yours", None)


def test_a_large_file_goes_in_parts(on: On, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(bucket_module, "ONE_PUT", 5 << 20)
    monkeypatch.setattr(bucket_module, "PART", 5 << 20)
    data = os.urandom(6 << 20)
    (tmp_path / "large").write_bytes(data)
    sha256 = bucket_module._sha256(data)
    with on("one") as home:
        there = shared(home).bucket
        there.send("versions/large", tmp_path / "large", sha256)
        there.fetch("versions/large", tmp_path / "back", sha256, len(data))
        assert (tmp_path / "back").read_bytes() == data
        with pytest.raises(IntegrityError, match=r"versions/large has \d+ bytes"):
            there.fetch("versions/large", tmp_path / "back", sha256, 10)


def test_a_dead_server_is_told_in_time(on: On, toy, make, server: Server, monkeypatch: pytest.MonkeyPatch):
    with on("one") as home:
        dead = Server()
        dead.stop()
        monkeypatch.setenv("AWS_ENDPOINT_URL", dead.endpoint)
        monkeypatch.setenv("FORGE_STORE", "s3://shared/dead")
        with pytest.raises(RemoteError, match=r"s3://shared/dead within \d+ s: EndpointConnectionError"):
            make(Run(home, "r1"), "a", toy("shared_s", "hello"))
        run = Run(home, "r2")
        run.note_error("a", RemoteError("down"))  # kept here all the same
        assert (home.runs / "r2" / "errors" / "a.json").is_file()


def test_a_bucket_that_is_not_there_is_named(on: On, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FORGE_STORE", "s3://nowhere/x")
    with on("one") as home, pytest.raises(UserError, match="there is no bucket nowhere"):
        list(Ledger(home.ledger).entries())


@pytest.mark.parametrize("url", ["https://shared", "s3://", "s3://shared/../x", "s3://shared//x", "s3://shared/x?y"])
def test_an_address_that_is_none(url: str, tmp_path: Path):
    with pytest.raises(UserError, match="s3://BUCKET/PREFIX"):
        Bucket(url)


@pytest.mark.parametrize("name", ["../secret", "runs/../../secret", "runs//x", "."])
def test_a_name_stays_below_the_prefix(name: str, on: On):
    with on("one") as home:
        for act in (lambda: shared(home).bucket.read(name), lambda: shared(home).bucket.put(name, b"")):
            with pytest.raises(UserError, match="below the prefix"):
                act()


@pytest.mark.parametrize("name", ["../../../evil", "/evil", "a/../../evil", ".", "a//b"])
def test_a_record_whose_names_leave_the_version_is_refused(name: str, on: On, toy, make, objects: Any):
    from forge_dagster.provenance.files import content_digest

    with on("one") as home:
        record = make(Run(home, "r1"), "a", toy("shared_t", "hello")).record
    body = {"record": record.model_dump(mode="json"), "beside": {}}
    (entry,) = body["record"]["files"].values()
    body["record"]["files"] = {name: entry}
    digest = body["record"]["digest"] = content_digest(body["record"]["files"])
    objects.Object(f"forge/records/a/{record.fingerprint}/{digest}.json").put(Body=json.dumps(body).encode())
    with on("two") as home, pytest.raises(IntegrityError, match="names stay in the folder"):
        ArtifactStore(home.artifacts).here("a", digest)


def test_a_record_that_is_not_what_its_name_says(on: On, toy, make, objects: Any):
    with on("one") as home:
        record = make(Run(home, "r1"), "a", toy("shared_u", "hello")).record
    there = objects.Object(f"forge/records/a/{record.fingerprint}/{record.digest}.json")
    sound = json.loads(there.get()["Body"].read())
    harmed = json.loads(json.dumps(sound))
    harmed["record"]["identity"]["code_version"] = "other"
    for harm, said in (
        (harmed, "another version"),
        ({**sound, "record": {**sound["record"], "files": {}}}, "do not give its digest"),
        ({}, "is damaged"),
    ):
        there.put(Body=json.dumps(harm).encode())
        with on("two") as home, pytest.raises(IntegrityError, match=said):
            ArtifactStore(home.artifacts).record("a", record.digest)
