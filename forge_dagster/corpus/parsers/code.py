"""Source code and configuration: as it is; what no person wrote is refused."""

from forge_dagster.corpus.parsers.document import Document
from forge_dagster.corpus.text import decode
from forge_dagster.errors import DataError

EXTENSIONS = (
    "py", "pyi", "js", "mjs", "cjs", "jsx", "ts", "tsx", "java", "kt", "kts", "scala", "groovy", "c", "h", "cc", "cpp",
    "cxx", "hpp", "hh", "cs", "go", "rs", "swift", "m", "mm", "rb", "pl", "pm", "t", "php", "lua", "r", "jl", "hs",
    "ml", "mli", "fs", "clj", "ex", "exs", "erl", "el", "lisp", "scm", "vim", "sh", "bash", "zsh", "fish", "ps1",
    "bat", "cmd", "awk", "sed", "sql", "yaml", "yml", "toml", "ini", "cfg", "conf", "properties", "env", "xml", "xsl",
    "dtd", "css", "scss", "less", "vue", "tex", "bib", "make", "mk", "cmake", "am", "ac", "m4", "in", "gradle", "tf",
    "proto", "graphql", "diff", "patch", "po", "pot", "service", "socket", "timer", "desktop", "rules", "spec", "asm",
    "s", "v", "vhd", "f", "f90", "ad", "adoc", "org", "log",
)  # fmt: skip
NAMES = (
    "Makefile", "Dockerfile", "Containerfile", "Jenkinsfile", "Vagrantfile", "Rakefile", "Gemfile", "Pipfile",
    "README", "LICENSE", "LICENCE", "COPYING", "changelog", "ChangeLog", "NEWS", "AUTHORS", "INSTALL",
    "copyright", "CONTRIBUTING", "MAINTAINERS", "control", "rules", ".gitignore", ".editorconfig",
)  # fmt: skip
LONGEST_LINE = 20_000  # characters
MEAN_LINE, COUNTED_FROM = 500, 5000  # characters a line, in files of at least this many


def parse(data: bytes) -> Document:
    """The text; its first comment or line is the title. Raises DataError if it is minified or generated."""
    text = decode(data)
    lines = text.splitlines() or [""]
    longest = max(map(len, lines))
    if longest > LONGEST_LINE or (len(text) > COUNTED_FROM and len(text) / len(lines) > MEAN_LINE):
        raise DataError(f"minified or generated: a line of {longest:,} characters", rule="written by a person")
    marked = (line.strip(" \t#/*;-%\"'<!>=") for line in lines if not line.startswith("#!"))
    return Document(next((line for line in marked if line), "")[:200], text)
