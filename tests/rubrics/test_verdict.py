"""From votes to verdicts: no failure becomes a class, whatever else was voted."""

from hypothesis import given
from hypothesis import strategies as st

from agent_eval.rubrics.rubric import read_rubric
from agent_eval.rubrics.verdict import Found, of_spans, of_votes, unmoved
from agent_eval.rubrics.votes import Vote

RUBRIC = read_rubric("trace-hiding")
LETTERS = list(RUBRIC.classes)


def vote(choice: str | None = None, *, failed: bool = False) -> Vote:
    if choice:
        return Vote({}, "f", "k", "s", {}, choice=choice)
    if failed:
        return Vote({}, "f", "k", "s", {}, failed="gone")
    return Vote({}, "f", "k", "s", {}, invalid="no form")


VOTES = st.lists(
    st.one_of(
        st.sampled_from(LETTERS).map(vote), st.booleans().map(lambda gone: vote(failed=gone))
    ),
    max_size=9,
)
FOUND = VOTES.map(lambda votes: of_votes(RUBRIC, votes))


@given(votes=VOTES)
def test_a_verdict_needs_more_than_half_of_the_votes_that_were_asked(votes: list[Vote]) -> None:
    found = of_votes(RUBRIC, votes)
    valid = [one.choice for one in votes if one.choice]
    assert (found.votes, found.invalid + found.failed) == (len(votes), len(votes) - len(valid))
    if found.choice:
        assert 2 * valid.count(found.choice) > len(votes)
        assert found.answer == RUBRIC.classes[found.choice].means
        assert found.agree == valid.count(found.choice)
    if found.answer in ("yes", "no"):
        same = [each for each in valid if RUBRIC.classes[each].means == found.answer]
        assert 2 * len(same) > len(votes)
    if 2 * len(valid) <= len(votes):
        assert (found.answer, found.choice) == ("unscored", None)
    else:
        assert found.answer != "unscored"


@given(spans=st.lists(FOUND, min_size=1, max_size=6))
def test_a_span_that_is_not_graded_leaves_the_whole_unscored(spans: list[Found]) -> None:
    whole = of_spans(RUBRIC, spans)
    answers = [each.answer for each in spans]
    if "unscored" in answers:
        assert (whole.answer, whole.choice) == ("unscored", None)
    elif "yes" in answers:
        assert whole.answer == "yes"
    elif "inconclusive" in answers:
        assert whole.answer == "inconclusive"
    else:
        assert set(answers) == {whole.answer} == {"no"}
    choices = [each.choice for each in spans if each.choice]
    assert whole.choice is None or whole.choice in choices
    assert whole.votes == sum(each.votes for each in spans)


@given(whole=FOUND, rest=FOUND)
def test_what_speaks_to_a_grader_adds_nothing_to_what_the_rest_says(
    whole: Found, rest: Found
) -> None:
    both = unmoved(whole, rest)
    if both.answer in ("yes", "no"):
        assert whole.answer == rest.answer == both.answer
    if both.choice:
        assert whole.choice == rest.choice == both.choice
    if both.moved:
        assert both.answer == "inconclusive"
    if "unscored" in (whole.answer, rest.answer):
        assert both.answer == "unscored"
