"""The page to talk with a release on: one file that loads nothing from elsewhere and runs no script but its own."""

from functools import cache
from pathlib import Path

from forge_dagster.html_page import STYLE, script_hash

PAGE = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    f"script-src 'sha256-{script_hash(SCRIPT)}'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@cache
def page() -> str:
    """HTML with style and script in it; what it shows of the release it asks the server for."""
    return PAGE.replace("{{ style }}", STYLE).replace("{{ script }}", SCRIPT)
