"""The explorer's page in a browser: played to the end and back, and what each step shows."""

import pytest
from support.explorer_graphs import cost, labelled, network, neuron, two_paths
from support.explorer_pages import MARKS, assert_all_shown, on_card, place, shown, unfolded, wait_until

import tinygrad_scalar as ts
from tinygrad_scalar import Value
from tinygrad_scalar.engine.graph import topological_order

pytestmark = MARKS


@pytest.mark.parametrize("build", [neuron, two_paths, network, cost])
def test_played_to_the_end_every_gradient_is_pythons(opened, build):
    root = build()
    page = opened(root)
    unfolded(page)
    assert_all_shown(page, root)
    page.get_by_label("speed").select_option("16")
    page.get_by_role("button", name="To the beginning").click()
    assert shown(page, len(topological_order(root)) - 1) == ("·", "·")
    page.get_by_role("button", name="Play", exact=True).click()
    wait_until(page, "explorer.position === explorer.total && !explorer.playback.timer")
    assert_all_shown(page, root)


def test_a_step_lights_its_edges_with_the_amounts_and_counts_contributions(opened):
    root = two_paths()
    page = opened(root)
    page.get_by_role("slider", name="step").fill(str(6 + 4))  # forwards 6, ∂C/∂C = 1, back through C, p·q, q or p
    stepper = ts.step(root, names={})
    step = stepper.next(10)
    amounts = [f"{'+' if c.amount >= 0 else ''}{on_card(c.amount)}" for c in step.contributions]
    lit = [text for text in page.locator(".ts-amount").all_text_contents() if text]
    assert sorted(lit) == sorted(amounts)
    assert page.locator(".ts-lit").count() == len(amounts)
    assert "contribution" in page.locator(".ts-step").text_content()
    u = place(root, "u")
    page.get_by_role("button", name="Step", exact=True).click()
    progress = (stepper.next(), stepper.progress(topological_order(root)[u]))[1]
    label = page.locator(f'[data-id="v{u}"] .ts-row').last.text_content()
    assert label == ("grad" if progress.complete or not progress.done else f"grad {progress.done} of {progress.of}")


def test_stepping_back_undoes_a_step(opened):
    root = two_paths()
    page = opened(root)
    forward, back = (page.get_by_role("button", name=name, exact=True) for name in ("Step", "Step back"))
    page.get_by_role("button", name="To the beginning").click()
    seen = [page.locator(".ts-cards").text_content()]
    for _ in range(ts.step(root).total):
        forward.click()
        seen.append(page.locator(".ts-cards").text_content())
    for before in reversed(seen[:-1]):
        back.click()
        assert page.locator(".ts-cards").text_content() == before


def test_the_page_opens_where_python_left_it(opened):
    page = opened(neuron(), position=2)
    assert page.evaluate("explorer.position") == 2
    assert page.locator(".ts-where").text_content().startswith("forward 2 of 5")


def test_backwards_it_plays_to_the_beginning(opened):
    page = opened(neuron())
    page.get_by_label("speed").select_option("16")
    page.get_by_role("button", name="Play backwards").click()
    page.get_by_role("button", name="Play", exact=True).click()
    wait_until(page, "explorer.position === 0")


def test_the_steps_equations_are_mathml_with_the_numbers(opened):
    root = neuron()
    page = opened(root)
    page.get_by_role("slider", name="step").fill("3")
    assert page.locator(".ts-step math").first.text_content() == "a(1)"
    text = page.locator(".ts-step").text_content()
    assert "σ(z)" in text
    assert "0.731059" in text


def test_a_gradient_of_an_expression_is_named_in_brackets(opened):
    x, y = Value(3.0, "x"), Value(1.0, "y")
    page = opened(labelled((x - y) ** 2, "C"), position=4)
    assert "(x − y).grad: complete" in page.locator(".ts-side").text_content()
