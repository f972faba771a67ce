"""What can be checked in notebooks without running them: form, names, links, pictures."""

import ast
import builtins
import importlib
import inspect
import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import nbformat
import pytest
from nbval.plugin import get_sanitize_patterns

from helpers.base import contents
from series.progress import expected
from tests.solutions import of as solutions

PROJECT = Path(__file__).parent.parent
FOLDER = PROJECT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SANITIZE = PROJECT / "tests/notebooks/sanitize.cfg"
PICTURES = sorted((FOLDER / "images").glob("*.svg"))
SECTIONS = [
    "Prerequisites",
    "The picture",
    "What exists now",
    "Check",
    "Questions",
    "Further reading",
    "Next",
]
UNCHANGED = 6  # the notebook that only sends requests
# Those beyond the article leave nothing behind, and may omit the picture.
OPTIONAL = {"The picture", "What exists now"}
# Words of all Markdown cells. If a notebook exceeds its budget, shorten it.
BUDGET = {"00": 1550, "01": 1910, "02": 1650, "03": 1250, "04": 2170, "05": 1500, "06": 1700, "99": 700}
BUDGET |= dict.fromkeys(contents.BEYOND, 1300)
PRIMARY = re.compile(
    r"https://(docs\.aws\.amazon\.com|aws\.amazon\.com|cloud\.google\.com|istio\.io|www\.envoyproxy\.io"
    r"|kubernetes\.io|gateway-api\.sigs\.k8s\.io|spiffe\.io|www\.rfc-editor\.org|www\.w3\.org"
    r"|www\.tcpdump\.org|www\.wireshark\.org)/"
)
LONGEST = 40  # lines of an output that is not folded
HELPERS = {path.stem for path in PROJECT.glob("helpers/*.py")}
BEYOND = [path for path in NOTEBOOKS if path.name[:2] in contents.BEYOND]
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
each_of_the_article = pytest.mark.parametrize(
    "path", [path for path in NOTEBOOKS if path not in BEYOND], ids=lambda p: p.stem
)
each_beyond = pytest.mark.parametrize("path", BEYOND, ids=lambda p: p.stem)


def cells(path: Path, kind: str) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def prose(path: Path) -> str:
    return "\n\n".join(cells(path, "markdown"))


def section(path: Path, heading: str) -> str:
    """The prose under a heading, up to the next one."""
    return prose(path).partition(f"## {heading}\n")[2].partition("\n## ")[0]


def anchors(text: str) -> list[str]:
    return re.findall(r"\]\(([^)]+)\)", text)


def test_the_series_is_complete():
    numbers = [path.name[:2] for path in NOTEBOOKS]
    assert numbers == ["00", "01", "02", "03", "04", "05", "06", *contents.BEYOND, "99"]
    assert [path.stem for path in NOTEBOOKS] == list(contents.NOTEBOOKS.values())


@each_notebook
def test_a_notebook_is_valid_and_clean(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert path.read_text() == nbformat.writes(notebook, indent=1).rstrip("\n") + "\n"
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids))


@each_notebook
def test_every_notebook_has_the_same_parts_in_the_same_order(path):
    text = prose(path)
    number = int(path.name[:2])
    assert text.startswith(f"# {number} · ")
    headings = re.findall(r"^## (.+)$", text, re.M)
    absent = {"What exists now"} if number == UNCHANGED else set()
    if path in BEYOND:
        absent = OPTIONAL - set(headings)
    assert [heading for heading in headings if heading in SECTIONS] == [
        part for part in SECTIONS if part not in absent
    ]
    steps = [int(step) for step in re.findall(r"^## Step (\d+): ", text, re.M)]
    assert steps == list(range(1, len(steps) + 1)) and steps


@each_notebook
def test_it_starts_with_imports_and_ends_with_a_check(path):
    code = cells(path, "code")
    first = ast.parse(code[0]).body
    assert [node.module for node in first if isinstance(node, ast.ImportFrom)] == ["helpers", "helpers.check"]
    assert len(first) == 2
    assert code[-2 if path in BEYOND else -1].startswith("check({")


@each_beyond
def test_the_last_cell_of_one_beyond_the_article_undoes_its_changes(path):
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell for cell in code if "undo" in cell.metadata.get("tags", [])] == code[-1:]


@each_of_the_article
def test_it_shows_what_it_changed_before_its_check(path):
    code = cells(path, "code")
    shown = [cell for cell in code if cell.startswith("state.now(")]
    if path.name.startswith(f"{UNCHANGED:02}"):
        assert shown == []
        return
    assert shown == code[-2:-1]
    assert code[-2] == f'state.now("{path.name[:2]}")'
    assert re.search(r"^## What exists now\n\n.*\n\n## Check$", prose(path), re.M)


@each_notebook
def test_cells_are_short_and_prose_is_longer_than_code(path):
    code = cells(path, "code")
    assert max(len(cell.splitlines()) for cell in code) <= 10
    assert len(prose(path)) >= len("\n".join(code))


@each_notebook
def test_each_exercise_has_a_folded_solution_that_ends_with_an_assertion(path):
    exercises = [cell for cell in cells(path, "markdown") if "**Exercise" in cell]
    assert (len(exercises) <= 1) if path in BEYOND else (1 <= len(exercises) <= 2)
    for cell in exercises:
        assert cell.startswith("**Exercise.** ")
        assert cell.count("<details><summary>Solution</summary>") == cell.count("</details>") == 1
        assert re.findall(r"^```(\w+)", cell, re.M) == ["python"]  # bash would not be run by the tests
    assert len(solutions(path)) == len(exercises)
    for code in solutions(path):
        assert proves(code), code


def proves(code: str) -> bool:
    """Whether its last statement is an assertion."""
    body = ast.parse(code).body
    return bool(body) and isinstance(body[-1], ast.Assert)


def test_a_solution_without_an_assertion_is_detected():
    assert proves("x = 1\nassert x")
    assert not proves("assert 1\nx = 1") and not proves("")


@each_notebook
def test_two_questions_have_folded_answers(path):
    text = section(path, "Questions")
    assert re.findall(r"^\*\*(\d)\.\*\* .+\?.*$", text, re.M) == ["1", "2"]
    assert text.count("<details><summary>Answer</summary>") == text.count("</details>") == 2


@each_notebook
def test_further_reading_is_one_line_of_primary_sources(path):
    (line,) = section(path, "Further reading").strip().splitlines()
    assert 2 <= len(anchors(line)) <= 4
    assert all(PRIMARY.match(target) for target in anchors(line)), line


@each_notebook
def test_time_and_cost_are_one_line_without_a_hard_coded_price(path):
    (line,) = re.findall(r"^\*\*Time and cost\.\*\* .+$", section(path, "Prerequisites"), re.M)
    assert "lab" in line
    assert not PRICE.search(prose(path))


@each_notebook
def test_the_text_is_within_its_budget(path):
    assert sum(len(cell.split()) for cell in cells(path, "markdown")) <= BUDGET[path.name[:2]]


@each_notebook
def test_a_prediction_is_just_before_the_cell_that_answers_it(path):
    kinds = [(cell.cell_type, cell.source) for cell in nbformat.read(path, as_version=4).cells]
    asking = [n for n, (kind, source) in enumerate(kinds) if kind == "markdown" and "**Predict:**" in source]
    for n in asking:
        assert re.search(r"^\*\*Predict:\*\* .+\?$", kinds[n][1].splitlines()[-1]), kinds[n][1]
        assert kinds[n + 1][0] == "code"


PRICE = re.compile(r"\$ ?\d|\d\s*(?:USD|US dollars|dollars)\b")


def test_a_hard_coded_price_is_detected():
    assert PRICE.search("about 2 US dollars") and PRICE.search("$0.10 an hour")
    assert not PRICE.search("f'{cost.per_hour()} USD' and `$ kubectl`")


def walls(notebook: nbformat.NotebookNode) -> list[str]:
    """Ids of the cells whose output is too long to scroll through."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "<details>" in data.get("text/markdown", "") + data.get("text/html", ""):
                continue
            text = output.get("text") or data.get("text/plain", "")
            if len(text.splitlines()) > LONGEST:
                found.append(cell.id)
    return found


@each_notebook
def test_no_output_is_a_wall_of_text(path):
    assert walls(nbformat.read(path, as_version=4)) == []


def test_a_wall_of_text_is_detected():
    text = "line\n" * (LONGEST + 1)
    cell = nbformat.v4.new_code_cell(outputs=[nbformat.v4.new_output("stream", text=text)], id="wall")
    assert walls(nbformat.v4.new_notebook(cells=[cell])) == ["wall"]


def names(tree: ast.AST, context: type[ast.expr_context]) -> set[str]:
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, context)}


def defined(tree: ast.AST) -> set[str]:
    """Names of functions, parameters, and exceptions."""
    found = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.arg | ast.ExceptHandler))
    return {str(node.arg if isinstance(node, ast.arg) else node.name) for node in found}


def imported(tree: ast.AST) -> set[str]:
    found = (n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom))
    return {alias.asname or alias.name for node in found for alias in node.names}


@each_notebook
def test_no_variable_comes_from_another_notebook(path):
    known = set(dir(builtins))
    for code in [*cells(path, "code"), *solutions(path)]:
        tree = ast.parse(code)
        known |= names(tree, ast.Store) | imported(tree) | defined(tree)
        assert names(tree, ast.Load) <= known, code


@each_notebook
def test_everything_imported_is_used(path):
    code = "\n".join([*cells(path, "code"), *solutions(path)])
    tree = ast.parse(code)
    assert imported(tree) <= names(tree, ast.Load)


def helper_calls(code: str, modules: set[str]) -> list[tuple[str, str, ast.Call]]:
    """Each `module.function(…)` on one of these modules."""
    return [
        (node.func.value.id, node.func.attr, node)
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in modules
    ]


@each_notebook
def test_every_helper_call_matches_an_existing_signature(path):
    modules: set[str] = set()
    for code in [*cells(path, "code"), *solutions(path)]:
        modules |= {name for name in imported(ast.parse(code)) - {"check"} if name in HELPERS}
        for module, function, call in helper_calls(code, modules):
            signature = inspect.signature(getattr(importlib.import_module(f"helpers.{module}"), function))
            if any(isinstance(argument, ast.Starred) for argument in call.args):
                continue  # the number of arguments is known only at run time
            keywords = {keyword.arg: None for keyword in call.keywords if keyword.arg}
            signature.bind(*call.args, **keywords)  # raises TypeError


def test_a_wrong_helper_call_is_detected():
    (call,) = helper_calls("kube.apply('eks')", {"kube"})
    signature = inspect.signature(importlib.import_module("helpers.kube").apply)
    with pytest.raises(TypeError):
        signature.bind(*call[2].args)


@each_notebook
def test_nothing_of_the_lab_and_no_disabled_verification(path):
    code = "\n".join([*cells(path, "code"), *solutions(path)])
    assert not re.search(r"\b(import|from) lab\b", code)
    assert not re.search(r"""["'\s](-k|--insecure|-\w*k\w*s?)["'\s]""", code)
    assert "198.51.100." not in code and "127.0.0.1" not in code


@each_notebook
def test_links_work(path):
    targets = [target for target in anchors(prose(path)) if not target.startswith(("http://", "https://"))]
    assert targets
    for target in targets:
        assert (FOLDER / target).exists(), target


def test_each_notebook_links_to_the_next():
    for before, after in itertools.pairwise(NOTEBOOKS):
        assert f"]({after.name})" in cells(before, "markdown")[-1], before.name


@each_notebook
def test_readme_and_instructors_guide_list_every_notebook(path):
    assert f"\n| [{path.stem}](notebooks/{path.name}) | " in (PROJECT / "README.md").read_text()
    guide = (PROJECT / "docs/instructors-guide.md").read_text()
    assert len(re.findall(rf"^\| {path.name[:2]} [^|]+ \| \d+ s \| \d+ min \|$", guide, re.M)) == 1


def run_time(guide: str, number: str) -> str:
    """What the schedule in the instructors' guide says about a notebook."""
    return "".join(re.findall(rf"^\| {number} [^|]+ \| (\d+ s) \| \d+ min \|$", guide, re.M))


def lab_seconds(path: Path) -> str:
    """How long its committed outputs took, as `python -m series.run` prints it."""
    return f"{sum(expected(nbformat.read(path, as_version=4))):.0f} s"


@each_beyond
def test_the_instructors_guide_has_the_run_time_of_the_committed_outputs(path):
    """Those of the article are measured by `make bench`."""
    guide = (PROJECT / "docs/instructors-guide.md").read_text()
    assert run_time(guide, path.name[:2]) == lab_seconds(path)


def test_another_run_time_is_detected(tmp_path):
    metadata = {"tutorial": {"seconds": [58.0, 0.7]}}
    made = nbformat.v4.new_notebook(metadata=metadata, cells=[nbformat.v4.new_code_cell() for _ in range(2)])
    nbformat.write(made, tmp_path / "07.ipynb")
    found = {run_time(f"| 07 Who may call | {time} | 40 min |", "07") for time in ("58 s", "59 s", "60 s")}
    assert found - {lab_seconds(tmp_path / "07.ipynb")} == {"58 s", "60 s"}


@each_notebook
def test_there_is_a_picture_with_a_description(path):
    pictures = re.findall(r"!\[([^\]]*)\]\((images/[^)]+\.svg)\)", prose(path))
    assert pictures or path in BEYOND
    assert all(len(alternative) > 20 for alternative, _ in pictures)


def test_every_picture_is_used():
    used = {name for path in NOTEBOOKS for name in re.findall(r"\(images/([^)]+)\)", prose(path))}
    assert used == {path.name for path in PICTURES}


@pytest.mark.parametrize("path", PICTURES, ids=lambda p: p.stem)
def test_a_picture_has_a_title_and_text_and_loads_nothing(path):
    space = "{http://www.w3.org/2000/svg}"
    root = ET.parse(path).getroot()
    assert root.findtext(f"{space}title") and root.findtext(f"{space}desc")
    assert list(root.iter(f"{space}text"))
    text = path.read_text()
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"<script|<image|href=|url\((?!#)|@import", text)


def test_every_manifest_is_used_and_exists():
    sources = [code for path in NOTEBOOKS for code in cells(path, "code")]
    sources += [path.read_text() for path in PROJECT.glob("helpers/**/*.py")]
    named = {name for text in sources for name in re.findall(r"manifests/\w+/[\w-]+\.yaml", text)}
    assert named == {str(path.relative_to(PROJECT)) for path in PROJECT.glob("manifests/*/*.yaml")}


def sanitized(text: str) -> str:
    """As nbval does it: all rules in order."""
    for regex, replacement in get_sanitize_patterns(SANITIZE.read_text()):
        text = re.sub(regex, replacement, text)
    return text


def test_nbval_accepts_every_sanitize_rule_and_each_has_a_reason():
    text = SANITIZE.read_text()
    assert len(get_sanitize_patterns(text)) == len(re.findall(r"^regex:", text, re.M)) > 10
    assert all("# " in block for block in text.split("\n\n"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("VPC vpc-0123456789abcdef0 exists", "VPC vpc-0fedcba987654321 exists"),
        ("*   Trying 10.0.1.186:443...", "*   Trying 10.0.1.9:443..."),
        (
            "traceparent: 00-" + "a" * 32 + "-" + "b" * 16 + "-01",
            "traceparent: 00-" + "1" * 32 + "-" + "2" * 16 + "-01",
        ),
        ("x-envoy-upstream-service-time: 330", "x-envoy-upstream-service-time: 4"),
        (
            "* ipv4 connect timeout after 900ms, move on!\n"
            "* Failed to connect to alb.example.com port 443 after 3000 ms: Timeout was reached\n"
            "curl: (28) Failed to connect to alb.example.com port 443 after 3000 ms: Timeout was reached",
            "* Connection timeout after 3001 ms\ncurl: (28) Connection timeout after 3001 ms",
        ),
        ("\r… node: CREATING (2 s)   \r           \rready", "ready"),
        (
            "214 requests  12 failed  5.1 s  5.9 s  503, 12 times",
            "98 requests   3 failed   5.2 s  5.5 s  503, 3 times",
        ),
        ("address  name\n10.0.1.1  x", "address    name\n10.0.1.123 x"),
        (
            "EKS cluster  CREATING   Kubernetes 1.35, not connected yet",
            "EKS cluster  ACTIVE     Kubernetes 1.35, not connected yet",
        ),
        ("| grep " + "5" * 40, "| grep " + "a" * 33),  # serial numbers
    ],
)
def test_volatile_text_is_not_compared(one, other):
    assert sanitized(one) == sanitized(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HTTP/1.1 200 OK", "HTTP/1.1 201 OK"),
        ("content-length: 258", "content-length: 259"),
        ("server: envoy", "server: istio-envoy"),
        ("curl: (28) Failed to connect", "curl: (7) Failed to connect"),
        ("*   Trying 10.0.1.186:443...", "*   Trying 10.0.2.186:443..."),
        ("*   Trying 10.0.1.186:443...", "*   Trying 10.0.1.186:80..."),
        ("private  10.0.1.0/24", "private  10.0.2.0/24"),
        ("CN=client.lambda.external", "CN=lambda.external"),
        ("214 requests  0 failed", "214 requests  1 failed"),
        ("3 failed  503, 3 times", "3 failed  502, 3 times"),
        ("EKS cluster  ACTIVE  Kubernetes 1.35, 1 node", "EKS cluster  CREATING  Kubernetes 1.35, 1 node"),
        ("GKE cluster  RUNNING  Kubernetes 1.35.4, not connected yet", "GKE cluster  ERROR: no quota"),
        ("| grep " + "a" * 33, "| grep " + "a" * 32),  # a serial number and a trace ID
        ("sha256:" + "a" * 64, "sha256:" + "b" * 64),
    ],
)
def test_significant_text_is_compared(one, other):
    assert sanitized(one) != sanitized(other)
