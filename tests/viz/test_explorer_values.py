"""The explorer's page in a browser: a value is looked at, a leaf is edited, the quiz asks and the check answers."""

import re

import pytest
from support.explorer_graphs import fresh_gradients, labelled, network, neuron, two_paths
from support.explorer_pages import MARKS, assert_all_shown, card, find, on_card, place, shown, unfolded

import tinygrad_scalar as ts
from tinygrad_scalar import Value, primitive
from tinygrad_scalar.engine.graph import topological_order

pytestmark = MARKS


def test_a_value_shows_its_gradient_as_a_sum_and_what_explain_says(opened):
    root = two_paths()
    page = opened(root)
    card(page, "x").click()
    side = page.locator(".ts-value-panel")
    gradient = fresh_gradients(root)[place(root, "x")]
    assert f"grad{gradient:.6g}" in side.text_content().replace("−", "-")
    assert side.get_by_role("button", name=re.compile("^through")).count() == 2
    assert ts.explain(root, "x", names={}).text in side.locator("pre").text_content()
    side.get_by_role("button", name="through u").click()
    assert page.locator(".ts-selected .ts-name").text_content() == "u"


@pytest.mark.parametrize("build, name", [(neuron, "w"), (two_paths, "x"), (network, "a(0)[1]")])
def test_an_edited_leaf_gives_what_a_fresh_run_gives(opened, build, name):
    root = build()
    i = place(root, name)
    page = opened(root)
    unfolded(page)
    find(page, name)
    page.get_by_label("number of").fill("-0.75")
    page.get_by_label("number of").press("Enter")
    topological_order(root)[i].data = -0.75
    root.forward()
    assert_all_shown(page, root)
    page.get_by_label("slide").press("ArrowRight")
    assert float(shown(page, i)[0].replace("−", "-")) > -0.75
    page.get_by_role("button", name="reset").click()
    assert_all_shown(page, build())


def test_what_is_no_number_is_said(opened):
    page = opened(neuron())
    card(page, "w").click()
    page.get_by_label("number of w").fill("many")
    page.get_by_label("number of w").press("Enter")
    assert "expected a number" in page.get_by_role("alert").first.text_content()


def test_a_leaf_below_an_operation_of_ones_own_cannot_be_edited(opened):
    @primitive(derivative=lambda x: 3.0 * x**2)
    def cubed(x):
        return x**3

    root = labelled(cubed(Value(2.0, "x")) + Value(1.0, "y"), "C")
    page = opened(root)
    assert_all_shown(page, root)
    card(page, "x").click()
    assert "cubed is an operation of your own" in page.locator(".ts-value-panel").text_content()
    assert page.get_by_label("number of").count() == 0


def test_the_quiz_hides_gradients_says_what_is_wrong_and_what_is_right(opened):
    root = neuron()
    w = place(root, "w")
    gradient = fresh_gradients(root)[w]
    page = opened(root)
    page.get_by_role("button", name="Quiz").click()
    assert shown(page, w) == ("0.6", "?")
    card(page, "w").click()
    assert on_card(gradient)[:6] not in page.locator(".ts-side").text_content()
    answer = page.get_by_label("your answer")
    answer.fill(f"{-gradient:.5g}")
    answer.press("Enter")
    assert "the sign is not" in page.locator(".ts-feedback").text_content()
    answer.fill(f"{gradient / 2:.5g}")
    answer.press("Enter")
    assert "exponent 2 comes down as a factor" in page.locator(".ts-feedback").text_content()
    assert page.locator(".ts-amount", has_text="here").count() == 1
    answer.fill(f"{gradient:.3g}")
    answer.press("Enter")
    assert page.locator(".ts-feedback").text_content().startswith("Right: ∂C/∂w")
    assert shown(page, w) == ("0.6", on_card(gradient))
    assert "1 right of 3 answers" in page.locator(".ts-score").text_content()


def test_the_quiz_reveals_on_request_and_ends(opened):
    root = neuron()
    page = opened(root)
    page.get_by_role("button", name="Quiz").click()
    page.get_by_role("button", name="Next value").click()
    page.get_by_role("button", name="Reveal").click()
    assert page.locator(".ts-revealed").count() == 1
    page.get_by_role("button", name="Leave the quiz").click()
    assert_all_shown(page, root)


def test_a_revealed_gradient_does_not_tell_the_hidden_one_above_it(opened):
    root = neuron()
    page = opened(root)
    page.get_by_role("button", name="Quiz").click()
    find(page, "w")
    page.get_by_role("button", name="Reveal").click()
    above = topological_order(root)[place(root, "a(1)")]
    fresh_gradients(root)
    assert f"{above.grad:.6g}".replace("-", "−") not in page.locator(".ts-value-panel section").first.text_content()


def test_the_check_sets_a_nudge_beside_every_gradient(opened):
    root = neuron()
    page = opened(root)
    page.get_by_role("button", name="Check").click()
    rows = page.locator(".ts-tool tbody tr")
    assert rows.count() == 4
    for row in rows.all():
        _, gradient, nudge, verdict = row.locator("th, td").all_text_contents()
        assert float(gradient.replace("−", "-")) == pytest.approx(float(nudge.replace("−", "-")), rel=1e-4)
        assert verdict == "✓ agrees"
