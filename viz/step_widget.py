"""A stepper as a widget of notebooks: buttons, the step in words and its picture, which is updated in place."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from tinygrad_scalar.inspection.moves import move
from tinygrad_scalar.inspection.stepper import Stepper
from tinygrad_scalar.viz.drawing import draw

STYLE = """
.ts-stepper-bar { display: flex; flex-wrap: wrap; gap: 0.4em }
.ts-stepper button, .ts-stepper input {
  font: inherit; color: inherit; background: transparent; border: 1px solid #85858f; border-radius: 0.3em;
  min-height: 2em; padding: 0.1em 0.6em;
}
.ts-stepper :focus-visible { outline: 2px solid #2563eb }
.ts-stepper p { margin: 0.3em 0; font-weight: bold }
.ts-stepper pre { margin: 0.5em 0; min-height: 8em; color: inherit; background: transparent }
.ts-stepper svg { max-width: 100%; height: auto }
"""


def step_widget(stepper: Stepper) -> Any:
    """A widget that moves `stepper` and shows where it is; ImportError without anywidget."""
    made = _widget_class()(**_shown(stepper))

    def on_message(_: Any, asked: dict[str, str], buffers: Any) -> None:
        said = ""
        try:
            move(stepper, asked["verb"], asked["words"])
        except (ValueError, TypeError, RuntimeError) as error:
            said = str(error)
        with made.hold_sync():
            for name, text in _shown(stepper, said).items():
                setattr(made, name, text)

    made.on_msg(on_message)
    return made


def _shown(stepper: Stepper, message: str = "") -> dict[str, str]:
    try:
        picture = draw(stepper)._repr_svg_()
    except RuntimeError as error:  # without Graphviz, or stale
        picture, message = "", message or str(error)
    return {"text": str(stepper), "message": message, "picture": picture[picture.find("<svg") :] if picture else ""}


@cache
def _widget_class() -> Any:
    import anywidget
    import traitlets

    class StepWidget(anywidget.AnyWidget):  # type: ignore[misc]  # Any where it is not installed
        _esm = Path(__file__).with_name("step_widget.js").read_text("utf-8")
        _css = STYLE
        text = traitlets.Unicode().tag(sync=True)
        message = traitlets.Unicode().tag(sync=True)
        picture = traitlets.Unicode().tag(sync=True)

    return StepWidget
