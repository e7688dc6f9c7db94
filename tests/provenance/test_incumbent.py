"""The model that serves as an input: judged against, and never a reason to go round in a circle."""

from collections.abc import Callable

import pytest

from forge_dagster.errors import IntegrityError
from forge_dagster.home import Home
from forge_dagster.provenance.build import Built, Order, build
from forge_dagster.provenance.incumbent import INPUT, Incumbent
from forge_dagster.provenance.record import InputRef
from forge_dagster.provenance.run import Run
from forge_dagster.provenance.verify import verify
from forge_dagster.stage import NoConfig

SERVING = Incumbent(release="r/release", candidate="r/model")
Toy = Callable[[str, str], str]


def launch(home: Home, toy: Toy, name: str, word: str) -> dict[str, Built]:
    """One run of a chain: a model, its scorecard and its release, the last two against the model that serves."""
    run = Run(home, name)
    run.freeze({})
    modules = {"r/model": toy(f"model_{word}", word), "r/scorecard": toy("scored", "s"), "r/release": toy("rel", "r")}
    orders = {
        "r/model": ({}, None),
        "r/scorecard": ({"checkpoint": "r/model"}, SERVING),
        "r/release": ({"checkpoint": "r/model", "scorecard": "r/scorecard"}, SERVING),
    }
    return {
        key: build(
            run,
            Order(key=key, module=modules[key], inputs=inputs, external={}, config=NoConfig(), numerics=None,
                  serving=serving),
            actor="user:test",
            say=lambda _: None,
        )
        for key, (inputs, serving) in orders.items()
    }  # fmt: skip


def incumbent(built: Built) -> InputRef | None:
    return built.record.identity.inputs.get(INPUT)


def test_a_second_run_changes_nothing_with_and_without_an_incumbent(home: Home, toy: Toy):
    first = launch(home, toy, "1", "a")
    assert incumbent(first["r/scorecard"]) is None
    assert all(each.reused for each in launch(home, toy, "2", "a").values())
    second = launch(home, toy, "3", "b")
    was = InputRef(key="r/model", digest=first["r/model"].record.digest)
    assert incumbent(second["r/scorecard"]) == incumbent(second["r/release"]) == was
    for name in ("4", "5"):
        again = launch(home, toy, name, "b")
        assert all(each.reused for each in again.values())
        assert incumbent(again["r/scorecard"]) == was


def test_a_model_that_comes_back_is_judged_against_the_one_that_serves(home: Home, toy: Toy):
    launch(home, toy, "1", "a")
    second = launch(home, toy, "2", "b")
    back = launch(home, toy, "3", "a")
    assert back["r/model"].reused
    assert incumbent(back["r/scorecard"]) == InputRef(key="r/model", digest=second["r/model"].record.digest)
    assert all(each.reused for each in launch(home, toy, "4", "a").values())


def test_the_incumbent_is_read_and_verified_like_any_input(home: Home, toy: Toy):
    launch(home, toy, "1", "a")
    second = launch(home, toy, "2", "b")
    assert (second["r/scorecard"].folder / "content" / "text.txt").read_text() == "bas"  # both models, then its own
    target = [("r/release", second["r/release"].record.digest)]
    assert not verify(home.artifacts, home.ledger, target).problems
    (second["r/model"].folder / "content" / "text.txt").write_text("x")
    assert verify(home.artifacts, home.ledger, target).problems
    with pytest.raises(IntegrityError, match="differs from its record"):
        launch(home, toy, "3", "c")


def test_what_serves_keeps_its_tokenizer_while_a_policy_says_so(home: Home, toy: Toy):
    def order(key: str, word: str, kept_by: tuple[str, ...] = (), **inputs: str) -> Order:
        return Order(key=key, module=toy(f"{key.split('/')[0]}_{word}", word), inputs=inputs, external={},
                     config=NoConfig(), numerics=None, kept_by=kept_by)  # fmt: skip

    def made(name: str, *orders: Order) -> list[Built]:
        run = Run(home, name)
        run.freeze({})
        return [build(run, each, actor="user:test", say=lambda _: None) for each in orders]

    made("1", order("corpus", "a"), order("tokenizer/t", "t", corpus="corpus"))
    (first,) = made("2", order("r/release", "r", tokenizer="tokenizer/t"))
    was = first.record.identity.inputs["tokenizer"].digest
    _, keeps = made(
        "3", order("corpus", "b"), order("tokenizer/t", "t", ("other/release", "r/release"), corpus="corpus")
    )
    assert (keeps.record.digest, keeps.reused, keeps.is_current) == (was, True, True)
    (free,) = made("4", order("tokenizer/t", "t", corpus="corpus"))
    assert free.record.digest != was
    (back,) = made("5", order("tokenizer/t", "t", ("r/release",), corpus="corpus"))
    assert (back.record.digest, back.is_current) == (was, True), "CURRENT goes back to it"
    (keeps.folder / "content" / "text.txt").write_text("x")
    with pytest.raises(IntegrityError, match="differs from its record"):
        made("6", order("tokenizer/t", "t", ("r/release",), corpus="corpus"))
