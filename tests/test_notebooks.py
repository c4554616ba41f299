"""The notebooks: they run, print what they are committed with, and their exercises tell right from wrong.

An exercise is a cell tagged `exercise` with a placeholder and, in its metadata, wrong answers; a cell tagged `check`,
which has the answer judged by a function of notebooks/checks/; and a cell tagged `solution` with code that answers. A
cell tagged `varies` can print a different text on each run. After a change to a notebook:
jupyter nbconvert --to notebook --execute --inplace notebooks/NAME.ipynb
"""

import builtins
import copy
import importlib
import inspect
import json
import os
import re
import symtable
from pathlib import Path

import pytest

from tinygrad_scalar.notebooks.checks import check

FOLDER = Path(__file__).parent.parent / "notebooks"
PATHS = sorted(FOLDER.glob("[0-9]*.ipynb"))
NOTEBOOKS = {path.stem: json.loads(path.read_text("utf-8")) for path in PATHS}
SECONDS = dict.fromkeys(NOTEBOOKS, 60) | {name: 120 for name in NOTEBOOKS if name[:2] in ("10", "11")}
of_each_notebook = pytest.mark.parametrize("name", NOTEBOOKS)


def text_of(cell):
    return "".join(cell["source"])


def tagged(cell, tag):
    return tag in cell["metadata"].get("tags", [])


def exercises(notebook):
    """Each exercise's cell, check and solution."""
    cells = notebook["cells"]
    for i, cell in enumerate(cells):
        if tagged(cell, "exercise"):
            check = next(later for later in cells[i:] if tagged(later, "check"))
            solution = next(later for later in cells[i:] if tagged(later, "solution"))
            yield cell, check, solution


def answer_in(solution):
    (code,) = re.findall(r"```python\n(.*?)```", text_of(solution), flags=re.DOTALL)
    return code


# --- how they are made -----------------------------------------------------------------------------------------------


def test_there_are_twelve():
    assert [name[:3] for name in NOTEBOOKS] == [f"{n:02}-" for n in range(1, 13)]


@of_each_notebook
def test_a_notebook_begins_with_what_one_will_be_able_to_do_and_ends_with_what_to_take_along(name):
    texts = [text_of(cell) for cell in NOTEBOOKS[name]["cells"] if cell["cell_type"] == "markdown"]
    assert re.match(rf"# {int(name[:2])} · \w", texts[0])
    assert re.search(r"^After this notebook you will be able to\n\n(- .*\n?){3}", texts[0], flags=re.MULTILINE)
    assert "## What to remember" in texts[-1]


@of_each_notebook
def test_a_notebook_has_two_or_three_exercises_whose_solutions_are_hidden_at_first(name):
    found = list(exercises(NOTEBOOKS[name]))
    assert 2 <= len(found) <= 3
    for exercise, _, solution in found:
        assert "..." in text_of(exercise)
        assert len(exercise["metadata"]["wrong"]) >= 2
        assert text_of(solution).startswith("<details><summary>Solution</summary>\n\n")
        assert "<details open" not in text_of(solution)


def judge_of(name, k):
    return getattr(importlib.import_module(f"tinygrad_scalar.notebooks.checks.check_{name[:2]}"), f"exercise_{k}")


@of_each_notebook
def test_no_answer_can_be_read_in_a_check(name):
    for k, (_, cell, _) in enumerate(exercises(NOTEBOOKS[name]), 1):
        assert text_of(cell) == f'check("{name[:2]}.{k}", globals())'
        assert callable(judge_of(name, k))


def names_in(code):
    """The names that a cell defines, and those that it takes from other cells."""
    defined, used = set(), set()
    tables = [symtable.symtable(re.sub(r"^ *[%!].*", "", code, flags=re.MULTILINE), "cell", "exec")]
    for table in tables:
        tables += table.get_children()
        top = table.get_type() == "module"
        symbols = table.get_symbols()
        defined |= {s.get_name() for s in symbols if top and (s.is_assigned() or s.is_imported() or s.is_namespace())}
        used |= {s.get_name() for s in symbols if (s.is_referenced() if top else s.is_global())}
    return defined, used - defined - {*dir(builtins), "display", "get_ipython"}


@of_each_notebook
def test_whoever_skips_an_exercise_can_run_all_the_others(name):
    notebook, known, k, own = NOTEBOOKS[name], set(), 0, set()
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            defined, used = names_in(text_of(cell))
            if tagged(cell, "check"):
                k += 1
                assert set(inspect.signature(judge_of(name, k)).parameters) <= known | own
            else:
                assert used <= known
            if tagged(cell, "exercise"):
                own = defined
            elif not tagged(cell, "check"):
                known |= defined


@of_each_notebook
def test_a_check_before_its_exercise_was_run_says_so(name, capsys):
    for k, (exercise, _, _) in enumerate(exercises(NOTEBOOKS[name]), 1):
        check(f"{name[:2]}.{k}", {})
        printed = capsys.readouterr().out
        assert printed.startswith("Not answered yet: run the cells above first, which define ")
        assert names_in(text_of(exercise))[0] & set(re.findall(r"\w+", printed))


@of_each_notebook
def test_links_to_other_notebooks_lead_there(name):
    text = "\n".join(text_of(cell) for cell in NOTEBOOKS[name]["cells"])
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target and target.endswith((".ipynb", ".md")):
            assert (FOLDER / target).is_file()


@of_each_notebook
def test_a_notebook_names_no_machine(name):
    assert not re.search(r"/(?:home|root|tmp|usr|opt|work)/|[A-Z]:\\\\Users", json.dumps(NOTEBOOKS[name]))


@of_each_notebook
def test_a_notebook_was_run_from_top_to_bottom(name):
    code = [cell for cell in NOTEBOOKS[name]["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))


# --- running them ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def without_widgets(tmp_path_factory):
    """The environment of a kernel that finds no anywidget: the notebooks are committed with pictures."""
    folder = tmp_path_factory.mktemp("without_widgets")
    (folder / "anywidget.py").write_text("raise ImportError('the notebooks are committed without widgets')")
    path = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


@pytest.fixture(scope="module", params=NOTEBOOKS)
def ran(request, without_widgets):
    """A notebook that was run and, at each exercise, every wrong answer, the solution and the placeholder again.

    Gives the notebook's name, its cells as they came out, and (which, answer, verdict) of each answer.
    """
    for needed in ("nbclient", "ipykernel", "matplotlib", "sklearn"):
        pytest.importorskip(needed, reason="runs with the notebooks extra: pip install .[notebooks]")
    import nbclient
    import nbformat

    name = request.param
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    cells, tried = [], []
    for cell in notebook.cells:
        cells.append(cell)
        if tagged(cell, "check"):
            exercise, _, solution = next(e for e in exercises(notebook) if e[1] is cell)
            answers = [("wrong", code) for code in exercise["metadata"]["wrong"]]
            for which, code in [*answers, ("right", answer_in(solution)), ("none", text_of(exercise))]:
                check = copy.deepcopy(cell)
                cells += [nbformat.v4.new_code_cell(code), check]
                tried.append((which, code, check))
    kept, notebook.cells = list(notebook.cells), cells
    resources = {"metadata": {"path": str(FOLDER)}}
    client = nbclient.NotebookClient(notebook, timeout=SECONDS[name], kernel_name="python3", resources=resources)
    client.execute(env=without_widgets)
    return name, kept, [(which, code, printed(check)) for which, code, check in tried]


def printed(cell):
    return "".join("".join(output.get("text", "")) for output in cell["outputs"])


def texts(cell):
    """The text of a cell's outputs: whatever it printed, and the text forms of whatever it displayed."""
    found = [printed(cell)]
    for output in cell["outputs"]:
        data = output.get("data", {})
        kinds = ["text/markdown", "text/latex", "text/html"] + ["text/plain"] * ("image/png" not in data)
        found += ["".join(data[kind]) for kind in kinds if kind in data]
    return found


@pytest.mark.thorough
def test_a_notebook_puts_out_what_it_is_committed_with(ran):
    name, cells, _ = ran
    for before, after in zip(NOTEBOOKS[name]["cells"], cells):
        if before["cell_type"] == "code":
            assert all(output["output_type"] != "error" for output in after["outputs"])
            assert not [output for output in after["outputs"] if output.get("name") == "stderr"]
            kinds = [{o["output_type"] for o in cell["outputs"]} for cell in (before, after)]
            assert kinds[0] == kinds[1]
            if not tagged(before, "varies"):
                assert texts(after) == texts(before), text_of(before)


VERDICTS = {"wrong": "Not yet: ", "right": "Right: ", "none": "Not answered yet: "}


@pytest.mark.thorough
def test_an_exercise_accepts_its_solution_and_says_what_is_wrong_with_wrong_answers(ran):
    *_, tried = ran
    assert tried
    for which, code, verdict in tried:
        assert verdict.startswith(VERDICTS[which]), f"{code} → {verdict}"
