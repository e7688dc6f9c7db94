"""datatrove at the job of `benchmarks.filters`, run by an interpreter that has it: STEP CORPUS OUT PROCESSES."""

import sys
from pathlib import Path
from typing import Any

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

CONFIG = MinhashConfig(n_grams=5, num_buckets=32, hashes_per_bucket=4)


def run(steps: list[Any], tasks: int, processes: int, logs: Path) -> None:
    """Run one pipeline on this machine."""
    LocalPipelineExecutor(pipeline=steps, tasks=tasks, workers=processes, logging_dir=str(logs)).run()


def main(step: str, corpus: str, out: str, processes: int) -> None:
    """Write the documents that are left to OUT/kept."""
    here, kept = Path(out), JsonlWriter(f"{out}/kept", compression=None)
    if step == "filters":
        run(
            [JsonlReader(corpus), GopherRepetitionFilter(), GopherQualityFilter(), kept],
            processes,
            processes,
            here / "0",
        )
        return
    signatures, buckets, removed = (str(here / name) for name in ("signatures", "buckets", "removed"))
    signed = [JsonlReader(corpus), MinhashDedupSignature(output_folder=signatures, config=CONFIG)]
    run(signed, processes, processes, here / "1")
    paired = [MinhashDedupBuckets(input_folder=signatures, output_folder=buckets, config=CONFIG)]
    run(paired, CONFIG.num_buckets, processes, here / "2")
    run([MinhashDedupCluster(input_folder=buckets, output_folder=removed, config=CONFIG)], 1, 1, here / "3")
    run([JsonlReader(corpus), MinhashDedupFilter(input_folder=removed), kept], processes, processes, here / "4")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
