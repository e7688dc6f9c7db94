"""The page to talk with a release on: one file that loads nothing from elsewhere and runs no script but its own."""

import base64
import hashlib
from functools import cache
from pathlib import Path

PAGE = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
_HASH = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{_HASH}'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@cache
def page() -> str:
    """HTML with the script in it; what it shows of the release it asks the server for."""
    return PAGE.replace("{{ script }}", SCRIPT)
