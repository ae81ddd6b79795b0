"""What access rules deny, and when it is tried again."""

from asit_edge.deliver.sinks.denials import FIRST_PATIENCE, Denials


def test_what_an_earlier_run_was_denied_may_be_tried_at_once() -> None:
    denials = Denials(["mic/event"])
    assert denials.topics == ["mic/event"]
    assert denials.allowed("mic/event", 0.0)
    assert denials.topics == []
    assert not denials.allowed("mic/event", 0.0), "there is nothing to try"


def test_rules_that_go_by_content_are_tried_ever_less_often() -> None:
    denials, now, pauses = Denials([]), 0.0, []
    for _ in range(4):
        denials.denied("mic/event", now)
        began = now
        while not denials.allowed("mic/event", now):
            now += FIRST_PATIENCE / 2
        pauses.append(now - began)
    assert pauses == [FIRST_PATIENCE * factor for factor in (1, 2, 4, 8)]


def test_topics_are_judged_apart() -> None:
    denials = Denials([])
    denials.denied("mic/event", 0.0)
    assert not denials.allowed("mic/gap", 100.0)
    assert denials.topics == ["mic/event"]
    assert denials.allowed("mic/event", 100.0)
