"""The command line of the verifier: what was checked, the fifteen questions, proofs of documents; exit code 0 or 1."""

import argparse
import json
import sys
import zlib
from pathlib import Path

from forge_dagster.bundle.verifier import trace
from forge_dagster.bundle.verifier.checks import Checked, check
from forge_dagster.bundle.verifier.document import describe
from forge_dagster.bundle.verifier.merkle import check_proof
from forge_dagster.bundle.verifier.opened import Opened, Unreadable
from forge_dagster.bundle.verifier.questions import answers

MOST = 20  # documents that --trace names


def main() -> int:
    """Verify a bundle, print what was checked, return 0 if all holds and 1 if not."""
    parser = argparse.ArgumentParser(description="Check a bundle of a release; no network, nothing is written.")
    parser.add_argument("bundle", nargs="?", type=Path, help="archive or folder; default: where verify.py lies")
    parser.add_argument("--trust", action="append", default=[], metavar="KEY_ID", help="key id told by another way")
    parser.add_argument("--head", action="append", default=[], metavar="HASH", help="hash of a statement you know")
    parser.add_argument("--keys", type=Path, metavar="FILE", help="a newer registry.json, for later revocations")
    parser.add_argument("--proof", type=Path, metavar="FILE", help="a proof made by `forge prove`")
    parser.add_argument("--document", metavar="ID|PATH|FILE", help="what became of one document")
    parser.add_argument("--trace", metavar="TEXT", help="documents that share a passage with a text; - reads it")
    parser.add_argument("--questions", action="store_true", help="answer fifteen questions of an auditor")
    chosen = parser.parse_args()
    try:
        bundle = Opened(chosen.bundle or Path(sys.argv[0]).resolve().parent)
        newer = json.loads(chosen.keys.read_bytes()) if chosen.keys else None
    except (Unreadable, OSError, ValueError) as error:
        print(f"FAILED: {error}", file=sys.stderr)  # noqa: T201
        return 1
    found = check(bundle, chosen.trust, chosen.head, newer)
    _proof(chosen.proof, found)
    if chosen.document:
        found.said += describe(found, chosen.document)
    if chosen.trace:
        _trace(sys.stdin.read() if chosen.trace == "-" else chosen.trace, found)
    for line in found.said:
        print(line)  # noqa: T201
    if chosen.questions and not found.problems:
        for number, (question, answer) in enumerate(answers(found), start=1):
            print(f"\n{number}. {question}\n   " + answer.replace("\n", "\n   "))  # noqa: T201
    for problem in found.problems:
        print(f"FAILED: {problem}", file=sys.stderr)  # noqa: T201
    print("FAILED" if found.problems else "VERIFIED")  # noqa: T201
    return 1 if found.problems else 0


def _trace(text: str, found: Checked) -> None:
    """Add what is found to what is said; without fingerprints, or with a text of a few words, that is said too."""
    data = found.bundle.data.get(trace.NAME)
    if data is None:
        found.said.append(
            "this bundle was made without fingerprints of the text: ask its holder for `forge trace TEXT`"
        )
        return
    former = found.bundle.json("documents/use.json")["former"]
    trained_on = [row for row in found.documents if row.get("split") == "train"]  # what was dropped early has no split
    rows = {row["id"]: row for row in (*trained_on, *former)}
    try:
        asked, hits, chance = trace.trace(data, sorted(rows), text)
    except (ValueError, IndexError, zlib.error) as error:
        found.said.append(f"--trace: {error}")
        return
    found.said.append(
        f"{asked} runs of {trace.GRAM} words looked for, {len(hits):,} documents share some (by chance about "
        f"{chance:.2g}); every shared passage of {trace.SURE} words is found, shorter ones perhaps; a match is no cause"
    )
    found.said += [
        f"  {count} runs: {rows[given]['source']}/{rows[given]['path']} {given}" for given, count in hits[:MOST]
    ]


def _proof(path: Path | None, found: Checked) -> None:
    if path is None:
        return
    try:
        tree = found.bundle.json("documents/tree.json")
        found.said.append(check_proof(json.loads(path.read_bytes()), tree["root"], tree["count"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        found.problems.append(f"{path}: it proves nothing: {error}")
