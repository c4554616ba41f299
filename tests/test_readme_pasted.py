"""Every block of Python in README.md can be pasted, in order, into plain Python, IPython and a notebook."""

import ast
import os
import re
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
PATIENCE = 120  # seconds for a block
# another test may have imported JAX, which warns of a fork; the child of this one becomes another program at once
pytestmark = pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
CONTROL = re.compile(r"\x1b(?:\[[0-9;?]*[a-zA-Z]|[=>]|\][^\x07]*\x07)")


def assigned(block):
    """The names that the statements of a block assign, import or define."""
    found = set()
    for statement in ast.parse(block).body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            found.add(statement.name)
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            found |= {alias.asname or alias.name for alias in statement.names}
        elif isinstance(statement, ast.Assign):
            targets = [node for target in statement.targets for node in ast.walk(target)]
            found |= {node.id for node in targets if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return sorted(found)


def went_wrong(text):
    return re.search(r"Traceback|SyntaxError|IndentationError|\w+Error:", text)


def terminal(command, folder, **environment):
    """A program in a pseudo-terminal, in a folder of its own."""
    if os.name == "nt":
        pytest.skip("Windows has no pseudo-terminals of this kind")
    pexpect = pytest.importorskip("pexpect")
    child = pexpect.spawn(
        sys.executable, command, cwd=str(folder), encoding="utf-8", timeout=PATIENCE, dimensions=(200, 200),
        env={**os.environ, "COLUMNS": "200", "LINES": "200", "PYTHONUTF8": "1", **environment},
    )  # fmt: skip
    child.delaybeforesend = None
    return child


def paste_all(child, paste):
    """Paste every block; after each, the program says that it made the names that the block assigns."""
    for i, block in enumerate(BLOCKS):
        names = assigned(block)
        paste(block)
        paste(f'print("block", {i}, "missing:", [n for n in {names} if n not in globals()], "end")\n')
        child.expect(rf"block {i} missing: (\[[^]]*\]) end")
        shown = CONTROL.sub("", child.before)
        assert not went_wrong(shown), shown
        assert child.match[1] == "[]"


def test_into_plain_python(tmp_path):
    child = terminal(["-i", "-q"], tmp_path, TERM="dumb", PYTHON_BASIC_REPL="1")
    child.expect(">>> ")
    paste_all(child, lambda text: child.send(f"{text}\n"))
    child.close(force=True)


@pytest.mark.thorough
def test_into_ipython(tmp_path):
    pytest.importorskip("IPython")
    command = ["-m", "IPython", "--no-banner", "--no-confirm-exit", "--HistoryManager.enabled=False"]
    child = terminal(command, tmp_path, TERM="xterm", PROMPT_TOOLKIT_NO_CPR="1", IPYTHONDIR=str(tmp_path))
    child.expect("In ")

    def paste(text):  # as terminals do, between marks; then Enter, twice where a function is the last
        child.send(f"\x1b[200~{text.rstrip()}\x1b[201~")
        child.send("\r\r")

    paste_all(child, paste)
    child.close(force=True)


@pytest.mark.thorough
def test_into_a_notebook(tmp_path):
    manager = pytest.importorskip("jupyter_client.manager")
    pytest.importorskip("ipykernel")
    kernel, client = manager.start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
    try:
        for block in BLOCKS:
            said = []
            reply = client.execute_interactive(block, timeout=PATIENCE, output_hook=said.append)
            assert reply["content"]["status"] == "ok", reply["content"]
            shown = "".join(message["content"].get("text", "") for message in said)
            assert not went_wrong(shown), shown
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
