"""The glossary has every term that a notebook introduces, each explained in the notebook it names."""

import re
from pathlib import Path

import nbformat
import pytest

PROJECT = Path(__file__).parent.parent
NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
ROWS = re.findall(
    r"^\| (.+?) \| (.+) \| \[(.+)\]\(\.\./notebooks/(.+)\.ipynb\) \|$",
    (PROJECT / "docs/glossary.md").read_text(),
    re.M,
)
# Acronyms that need no entry, by reason.
KNOWN = {
    "whoever knows Kubernetes knows them": "API CPU DNS HTTP HTTPS ID IP GB JSON MB SDK TCP TTL URL VPN",
    "the clouds themselves, and a part of one": "AWS GCP",
    "those who publish a standard, and its name": "W3C RFC",
    "a file's name": "README",
}
EXCEPTIONS = {word for words in KNOWN.values() for word in words.split()}


def plain(path: Path) -> str:
    """A notebook's prose without code and link targets."""
    cells = nbformat.read(path, as_version=4).cells
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    text = re.sub(r"```.*?```|`[^`\n]*`|<[^>\n]+>", " ", text, flags=re.S)
    return re.sub(r"\]\([^)]*\)", "]", text)


def introduced(text: str) -> list[str]:
    """The words in *emphasis*, which marks terms that are explained there; stress uses _underscores_."""
    return re.findall(r"(?<![*\w])\*([^*\n]+)\*(?!\*)", text)


def acronyms(text: str) -> set[str]:
    return {word.removesuffix("s") for word in re.findall(r"\bm?[A-Z][A-Z0-9]+s?\b", text)}


def forms(term: str) -> set[str]:
    """ "mutual TLS (mTLS)" is two words for one thing."""
    return {word.strip() for word in re.split(r"[()]", term) if word.strip()}


TERMS = {form: notebook for term, _, _, notebook in ROWS for form in forms(term)}


def missing(text: str, known: set[str]) -> set[str]:
    """Terms in a text that are missing in a glossary with these words."""
    words = {word for term in known for word in re.findall(r"[\w]+", term)} | EXCEPTIONS
    return {word for word in introduced(text) if word not in known} | (acronyms(text) - words)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_no_term_is_missing(path):
    assert missing(plain(path), set(TERMS)) == set()


def test_a_missing_term_is_detected():
    assert missing("A *gizmo* with TLS, mTLS and QUIC in AWS", {"TLS", "mTLS"}) == {"gizmo", "QUIC"}


@pytest.mark.parametrize(("term", "_meaning", "title", "notebook"), ROWS, ids=lambda value: value[:30])
def test_a_term_is_explained_in_its_notebook_and_in_no_earlier_one(term, _meaning, title, notebook):
    named = [path.stem for path in NOTEBOOKS if forms(term) & set(introduced(plain(path)))]
    assert named and named[0] == notebook == title


def test_terms_are_sorted_and_unique():
    terms = [term for term, *_ in ROWS]
    assert len(terms) > 50
    assert terms == sorted(set(terms), key=lambda term: (term.lower(), term))


def test_every_exception_is_used():
    used = {word for path in NOTEBOOKS for word in acronyms(plain(path))}
    assert used >= EXCEPTIONS


def test_the_introduction_links_to_the_glossary():
    assert "](../docs/glossary.md)" in NOTEBOOKS[0].read_text()
