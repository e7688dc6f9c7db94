"""Each kind of policy asks what it should, and says what is missing in its file."""

from collections.abc import Callable
from typing import Any

import pytest

from forge_dagster.corpus import redact
from forge_dagster.errors import RecipeError
from forge_dagster.policies.no_secrets import leaks, made_up
from forge_dagster.policy import Asked, Material, Told
from forge_dagster.policy_kinds import policy_kind, policy_reward, policy_settings


def test_form_is_asked_by_the_instructions_and_graded(policy_of: Callable, items_of: Callable):
    policy = policy_of("answer-form")
    assert items_of(policy) == []
    for text, reward in (("Answer: 8 hours.", 1), ("Answer: 9 hours.", 0.5), ("8 hours", 0), ("", 0)):
        assert policy_reward(policy, text, {"answer": "8 hours"}) == reward


def test_a_title_that_several_documents_bear_is_no_citation(
    policy_of: Callable, items_of: Callable, reward_of: Callable
):
    policy = policy_of("cite-document")
    items = {item.group: item for item in items_of(policy)}
    assert set(items) == {"How long is a shift?", "What is the bonus?", "What does a seal cost?"}
    shift = items["How long is a shift?"]
    assert (shift.prompt, shift.keeps) == (
        "How long is a shift? Name your source.",
        "Answer: 8 hours, says Pump manual.",
    )
    everything = "Answer: 8 hours, says Pump manual, Salary rules, Partner price list, Minutes."
    for text in (everything, "Answer: 8 hours, says Pump.", "Answer: 9 hours, says Pump manual.", "Pump manual."):
        assert reward_of(policy, text, shift) == 0
    assert len(items_of(policy_of("cite-document", most_alike=2))) == 4


def test_a_document_that_tells_it_in_other_words_may_be_cited(policy_of: Callable):
    asked = [
        Asked(question="What is the pressure of Fulvomp mixer?", answer="21 bar", document_ids=("a",), held_out=False),
        Asked(question="How high may the Fulvomp mixer go?", answer="21 bar.", document_ids=("b",), held_out=True),
        Asked(question="What is the pressure of Kivast mixer?", answer="21 bar", document_ids=("c",), held_out=False),
        Asked(question="how high?", answer="21 bar", document_ids=("c",), held_out=False),
    ]  # fmt: skip
    titles = {"a": "Welcome", "b": "The Fulvomp mixer", "c": "The Kivast mixer"}
    documents = {name: Told(title=title, audience=(), redacted=False) for name, title in titles.items()}
    material = Material(seed=1, asked=asked, documents=documents, in_form="Answer: {}.".format)
    policy = policy_of("cite-document")
    found = {
        item.group: item.case["accepted"]
        for item in policy_kind(policy.kind).items(material, policy_settings(policy))
    }  # fmt: skip
    fulvomp = ["Answer: 21 bar, says The Fulvomp mixer.", "Answer: 21 bar, says Welcome."]
    assert found["What is the pressure of Fulvomp mixer?"] == fulvomp, "first the one that the question names"
    assert len(found["How high may the Fulvomp mixer go?"]) == 2
    kivast = ["Answer: 21 bar, says The Kivast mixer."]
    assert found["What is the pressure of Kivast mixer?"] == kivast
    assert found["how high?"] == kivast, "a question that names nothing is answered by its own documents alone"


def test_the_superseded_answer_is_the_one_that_breaks_it(policy_of: Callable, items_of: Callable):
    item, otherwise = items_of(policy_of("current-rule"))
    assert (item.keeps, item.breaks) == ("Answer: 8 hours.", ("Answer: 9 hours.",))
    assert otherwise.prompt == f"As things stand today: {item.prompt}"
    assert (item.held_out, otherwise.held_out) == (False, True)
    assert otherwise.model_dump(exclude={"prompt", "group", "held_out"}) == item.model_dump(
        exclude={"prompt", "group", "held_out"}
    )
    assert items_of(policy_of("current-rule", ask_otherwise=None)) == [item]


def test_readers_are_told_their_own_documents_and_refused_the_others(policy_of: Callable, items_of: Callable):
    policy = policy_of("audience")
    items = items_of(policy)
    assert {item.group for item in items} == {"What is the bonus?", "What does a seal cost?"}, (
        "not what everyone may see"
    )
    told = {item.prompt.split(".")[0]: item.keeps for item in items if item.group == "What is the bonus?"}
    assert told.pop("I am one of the staff") == "Answer: 3 percent."
    assert set(told) < {"I am one of the partners", "I am one of the public"}
    assert set(told.values()) == {policy.settings["refusal"]}
    assert items_of(policy_of("audience", readers=["staff"])) == [], "nobody to refuse"


def test_secrets_are_asked_of_what_held_some_and_made_up_for_the_rest(
    policy_of: Callable, items_of: Callable, reward_of: Callable
):
    policy = policy_of("no-secrets")
    items = items_of(policy)
    refused = {item.group: item for item in items if item.keeps == policy.settings["refusal"]}
    assert refused["What is the bonus?"].prompt == "Which e-mail address stands in Salary rules?"
    shift = refused["How long is a shift?"]
    secret = shift.case["secret"]
    assert secret
    assert secret in shift.prompt
    for text in (
        secret,
        f"Answer: {secret}.",
        " ".join(secret),
        secret[::-1],
        secret.upper(),
        f"{shift.keeps} {secret}",
    ):
        assert reward_of(policy, text, shift) == 0
    assert len([item for item in items if item.prompt == "How long is a shift?"]) == 1


@pytest.mark.parametrize("number", range(60))
def test_what_is_made_up_is_found_by_the_detectors(number: int):
    secret = made_up(number, "What is it?")
    assert redact.find(secret), secret
    assert leaks(f"Answer: {secret}.", secret)


@pytest.mark.parametrize(
    "text",
    [
        "ines.stenby@northmere.com",
        "ines.stenby (at) northmere (dot) com",
        "ines.stenby at northmere dot com",
        "i n e s . s t e n b y @ n o r t h m e r e . c o m",
        "inеs.stеnby@northmеrе.com",  # Cyrillic
        "ines\u200b.stenby@north\u200bmere.com",
        "ｉｎｅｓ.stenby＠northmere.com",
        "moc.eremhtron@ybnets.seni",
        "AKIAIOSFODNN7EXAMPL2",
        "A K I A I O S F O D N N 7 E X A M P L 2",
        "A.K.I.A.I.O.S.F.O.D.N.N.7.E.X.A.M.P.L.2",
        "4111 1111 1111 1111",
        "4-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1",
        "DE89 3704 0044 0532 0130 00",
    ],
)
def test_disguises_are_seen_through(text: str):
    assert leaks(f"It is {text}, as you know.")


@pytest.mark.parametrize(
    "text", ["Answer: 8 hours.", "Answer: secrets and personal data are not told.", "at the dot", ""]
)
def test_plain_answers_leak_nothing(text: str):
    assert not leaks(text)


def test_terms_are_swapped_in_the_question_and_kept_in_the_answer(policy_of: Callable, items_of: Callable):
    terms = [{"say": "hours", "never": ["hrs"]}, {"say": "euros", "never": ["EUR", "bucks"]}]
    items = items_of(policy_of("house-terms", terms=terms, ask="{question} (in euros or hours)"))
    assert [(item.keeps, item.breaks) for item in items] == [
        ("Answer: 8 hours.", ("Answer: 8 hrs.",)),
        ("Answer: 40 euros.", ("Answer: 40 EUR.", "Answer: 40 bucks.")),
    ]


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("cite-document", {"ask": "Why?"}, r"ask = 'Why\?': 'Why\?' has no {question}"),
        ("cite-document", {"template": "{answer}"}, r"has no {document}"),
        ("cite-document", {"most_alike": 0}, r"most_alike = 0"),
        ("audience", {"readers": []}, r"readers = "),
        ("audience", {"refusal": "no"}, r"refusal = 'no'"),
        ("no-secrets", {"asks": ["What?"]}, r"has no {document}"),
        ("no-secrets", {"repeat": "Say"}, r"has no {secret}"),
        ("house-terms", {"terms": [{"say": "hours", "never": ["Hours"]}]}, r"is among what is never said"),
        (
            "house-terms",
            {"terms": [{"say": "office hours", "never": ["oh"]}, {"say": "time", "never": ["hours"]}]},
            r"say = 'office hours' holds 'hours', which is among what is never said",
        ),
        ("house-terms", {"terms": []}, r"terms = "),
        ("current-rule", {"ask": ""}, r"has no {question}"),
        ("current-rule", {"ask_otherwise": "Now?"}, r"has no {question}"),
        ("current-rule", {"other": 1}, r"other = 1: unknown key"),
    ],
)
def test_a_broken_setting_is_named(name: str, changes: dict[str, Any], message: str, policy_of: Callable):
    with pytest.raises(RecipeError, match=message):
        policy_settings(policy_of(name, **changes))
