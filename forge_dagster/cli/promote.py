"""`forge promote`: lets a release serve that somebody else approved."""

from forge_dagster.bundle.serving import promote
from forge_dagster.cli.bundle import KeyName, Release, release_of
from forge_dagster.cli.console import Json, out, print_json
from forge_dagster.cli.keys import ring
from forge_dagster.home import home


def command(
    release: Release,
    key: KeyName,
    json: Json = False,
) -> None:
    """Let a release serve, whatever `forge run` makes current: `forge chat` asks it, gates compare with it."""
    name, digest = release_of(release)
    keys = ring()
    entry = promote(home(), name, digest, keys, keys.signer(key))
    if json:
        print_json(entry)
    else:
        out.print(f"{name}@{digest[:12]} serves; before it {entry['statement']['previous']}", markup=False)
