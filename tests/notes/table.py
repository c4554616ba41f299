"""notebooks/equations.md: for each equation of the notes its formula, its test, the notebooks that show it, its status.

    python -m tests.notes

in the top folder of a checkout writes it. The ids and formulas come from equations.py, the tests from `@equation`, the
notebooks from the citations in their texts, and the corrections from the headings of notebooks/errata.md.
"""

import importlib
import json
import re
from pathlib import Path

from .citations import cited
from .equations import EQUATIONS

HERE = Path(__file__).parent
NOTEBOOKS = HERE.parent.parent / "notebooks"
TABLE = NOTEBOOKS / "equations.md"
ERRATA = NOTEBOOKS / "errata.md"
COMMAND = "python -m tests.notes"
NONE = "–"
FOOTER = re.compile(r"^\*Also in the notes:\*.*?(?=\n\n|\Z)", re.DOTALL | re.MULTILINE)

PREAMBLE = f"""# The notes' equations

Every equation, definition and procedure of the four notes on backpropagation, and the test that holds the engine to it.
The formula is the one that holds; where a note prints another, the status names the entry of [errata.md](errata.md).
A notebook that shows an equation cites it there; one that only lists its name at its end stands in parentheses.
Made by `{COMMAND}`.

| note | equation | formula | test | notebook | status |
| --- | --- | --- | --- | --- | --- |
"""


def collected():
    """The tests of each equation: its id -> [file::name, …]."""
    found = {}
    for path in sorted(HERE.glob("test_*.py")):
        module = importlib.import_module(f".{path.stem}", __package__)
        for name, thing in vars(module).items():
            if name.startswith("test_"):
                for id in getattr(thing, "equations", ()):
                    found.setdefault(id, []).append(f"{path.name}::{name}")
    return found


def shown_in(folder=NOTEBOOKS):
    """The notebooks whose texts cite each equation: its id -> [(file name, whether it is shown there), …].

    The footer of a notebook lists names of what the notebook does not cite where it is shown.
    """
    found = {}
    for path in sorted(folder.glob("*.ipynb")):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        shown = cited(FOOTER.sub("", text))
        for id in sorted(cited(text)):
            found.setdefault(id, []).append((path.name, id in shown))
    return found


def errata():
    """The entries of errata.md in their order: E3 -> its heading and its text."""
    parts = re.split(r"^## (E\d+): (.*)$", ERRATA.read_text("utf-8").split("\n## Misprints")[0], flags=re.MULTILINE)
    return dict(zip(parts[1::3], zip(parts[2::3], parts[3::3])))


def corrections():
    """The corrections to each equation: its id -> [E3, …]."""
    found = {}
    for number, (heading, _) in errata().items():
        for id in cited(heading):
            found.setdefault(id, []).append(number)
    return found


def table():
    """The text of equations.md."""
    tested, shown, corrected = collected(), shown_in(), corrections()
    rows = []
    for id, latex, kind in EQUATIONS:
        note, place = id.split(" ", 1)
        status = f"corrected: {', '.join(corrected[id])}" if id in corrected else kind
        links = [(f"[{name}]({name})", there) for name, there in shown.get(id, [])]
        files = "<br>".join(link if there else f"({link})" for link, there in links) or NONE
        named = "<br>".join(f"`{name}`" for name in tested.get(id, [])) or NONE
        rows.append(f"| {note} | {place} | ${latex}$ | {named} | {files} | {status} |\n")
    return PREAMBLE + "".join(rows)
