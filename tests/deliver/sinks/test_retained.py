"""However connections come and go, the broker ends up with the last values, and with nothing that is stale."""

from hypothesis import given
from hypothesis import strategies as st

from asit_edge.deliver.sinks import retained
from asit_edge.deliver.sinks.retained import Announcement, RetainedState


def sent(state: RetainedState) -> list[Announcement]:
    return [state.next() for _ in range(len(state))]


def test_without_a_connection_only_the_last_value_counts() -> None:
    state = RetainedState()
    state.update("status", "starting")
    state.update("status", "listening")
    state.announce(Announcement("error", "lost", retain=False))
    assert not state
    state.connected()
    assert sent(state) == [Announcement("status", "listening")]


def test_with_a_connection_every_change_is_published_and_the_whole_state_on_demand() -> None:
    state = RetainedState()
    state.connected()
    for payload in ("ON", "OFF"):
        state.update("sound", payload)
    state.announce(Announcement("error", "no such label", retain=False))
    assert sent(state) == [
        Announcement("sound", "ON"),
        Announcement("sound", "OFF"),
        Announcement("error", "no such label", retain=False),
    ]
    state.announce_all()
    assert sent(state) == [Announcement("sound", "OFF")]


def test_topics_of_earlier_runs_are_emptied_until_the_broker_has_that() -> None:
    state = RetainedState()
    state.update("a", "1")
    state.clear_others({"a", "old"})
    assert state.topics == {"a", "old"}
    state.connected()
    state.disconnected()
    state.connected()
    emptied, value = sent(state)
    assert (emptied, value) == (Announcement("old", ""), Announcement("a", "1"))
    assert not state.taken(value)
    assert state.taken(emptied)
    assert state.topics == {"a"}
    state.announce_all()
    assert sent(state) == [value]


def test_topics_that_are_part_of_the_state_no_more_are_emptied_behind_what_is_said() -> None:
    state = RetainedState()
    state.connected()
    state.update("old", "ask")
    state.update("new", "here")
    state.retire(["old"])
    asked, here, emptied = sent(state)
    assert emptied == Announcement("old", "")
    assert state.topics == {"old", "new"}
    state.taken(asked)
    state.taken(here)
    assert state.taken(emptied), "the broker has forgotten it"
    assert state.topics == {"new"}
    state.announce_all()
    assert sent(state) == [Announcement("new", "here")]


def test_a_stale_topic_that_has_a_value_again_is_not_emptied() -> None:
    state = RetainedState()
    state.clear_others({"a"})
    state.update("a", "1")
    state.connected()
    assert sent(state) == [Announcement("a", "1")]


def test_what_was_not_taken_goes_again_before_the_rest() -> None:
    state = RetainedState()
    state.connected()
    state.update("a", "1")
    state.update("b", "2")
    state.put_back(state.next())
    assert [one.topic for one in sent(state)] == ["a", "b"]


def test_for_a_slow_broker_the_whole_state_takes_the_place_of_every_change() -> None:
    state = RetainedState()
    state.connected()
    for number in range(retained.MOST_QUEUED + 1):
        state.update("a", str(number))
    assert sent(state) == [Announcement("a", str(retained.MOST_QUEUED))]


def acknowledged(state: RetainedState, messages: list[Announcement]) -> None:
    for message in messages:
        state.taken(message)


def test_a_broker_that_remembers_gets_only_what_it_does_not_have() -> None:
    state = RetainedState()
    for topic in "abcd":
        state.update(topic, "1")
    state.connected()
    first = sent(state)
    acknowledged(state, first[:2])
    state.disconnected()
    state.update("a", "2")
    state.connected(remembers=True)
    assert sent(state) == [Announcement("c", "1"), Announcement("d", "1"), Announcement("a", "2")]


def test_without_a_memory_it_goes_on_where_it_broke_off_and_ends_with_everything() -> None:
    state = RetainedState()
    for topic in "abcd":
        state.update(topic, "1")
    state.connected()
    acknowledged(state, sent(state)[:2])
    state.disconnected()
    state.connected()
    assert [one.topic for one in sent(state)] == ["c", "d", "a", "b"]


def test_what_the_last_will_has_replaced_goes_first_every_time() -> None:
    state = RetainedState(["available"])
    for topic in ("status", "available", "sound"):
        state.update(topic, "1")
    state.connected()
    assert [one.topic for one in sent(state)] == ["status", "available", "sound"], "not before it is true"
    acknowledged(state, [Announcement(topic, "1") for topic in ("status", "available")])
    state.disconnected()
    state.connected(remembers=True)
    assert [one.topic for one in sent(state)] == ["available", "sound"]


def test_what_was_on_its_way_is_not_known_to_be_there() -> None:
    state = RetainedState()
    state.update("sound", "OFF")
    state.connected()
    acknowledged(state, sent(state))
    state.update("sound", "ON")
    sent(state)  # perhaps it got there
    state.disconnected()
    state.update("sound", "OFF")
    state.connected(remembers=True)
    assert sent(state) == [Announcement("sound", "OFF")]


def test_the_state_is_said_once_more_when_there_is_time() -> None:
    state = RetainedState()
    state.update("a", "1")
    state.update("b", "1")
    state.connected()
    acknowledged(state, sent(state))
    state.say_again()
    state.update("a", "2")
    assert state.next_unhurried() == Announcement("a", "2")
    acknowledged(state, sent(state))
    assert (state.next_unhurried(), state.unhurried) == (Announcement("b", "1"), 0)


def test_as_many_changes_may_wait_as_are_said() -> None:
    state = RetainedState()
    state.connected()
    for number in range(10_000):
        state.update("a", str(number))
    assert len(state) == 10_000
    state.update("a", "last")
    assert sent(state) == [Announcement("a", "last")]


def test_while_there_is_no_connection_nothing_waits() -> None:
    state = RetainedState()
    state.connected()
    state.update("a", "1")
    state.disconnected()
    assert len(state) == 0
    state.update("a", "2")
    state.announce_all()
    state.clear_others({"old"})
    assert len(state) == 0


def test_stale_topics_are_emptied_at_once_where_there_is_a_connection() -> None:
    state = RetainedState()
    state.connected()
    state.update("a", "1")
    state.clear_others({"a", "old"})
    assert sent(state) == [Announcement("old", "", retain=True), Announcement("a", "1", retain=True)]


def test_only_an_empty_message_empties_and_only_a_stale_topic() -> None:
    state = RetainedState()
    state.clear_others({"old"})
    assert not state.taken(Announcement("old", "1"))
    assert not state.taken(Announcement("other", ""))
    assert state.topics == {"old"}
    assert state.taken(Announcement("old", ""))


TOPICS = st.sampled_from("abc")
STEPS = st.one_of(
    st.tuples(st.just("show"), TOPICS, st.sampled_from(["1", "2"])),
    st.sampled_from(
        [
            *[("up", "", ""), ("up", "remembers", ""), ("down", "", ""), ("send", "", ""), ("send", "lost", "")],
            *[("send", "unanswered", ""), ("answer", "", ""), ("say all", "", "")],
        ]
    ),
)


@given(st.sets(TOPICS), st.lists(STEPS, max_size=40))
def test_the_broker_ends_with_the_last_values_and_nothing_else(kept: set[str], steps: list[tuple[str, ...]]) -> None:
    broker, wanted = dict.fromkeys(kept, "old"), dict[str, str]()
    state = RetainedState()
    state.clear_others(kept)

    answers: list[Announcement] = []

    def send_one(fate: str = "") -> None:
        message = state.next()
        if fate != "lost":
            broker[message.topic] = message.payload
            answers.append(message)
        if not fate:
            answer_all()

    def answer_all() -> None:
        while answers:
            state.taken(answers.pop(0))

    connected = broken = False
    for step, topic, payload in steps:
        if step == "show":
            state.update(topic, payload)
            wanted[topic] = payload
        elif step == "up":
            state.disconnected()
            answers.clear()
            connected, broken = True, False
            state.connected(remembers=topic == "remembers")
        elif step == "down":
            connected = False
            state.disconnected()
            answers.clear()
        elif step == "say all":
            state.announce_all()
        elif step == "answer":
            answer_all()
        elif state and connected and not broken:
            send_one(topic)
            broken = topic == "lost"  # nothing that is sent over a broken connection arrives
    state.disconnected()
    answers.clear()
    state.connected(remembers=True)
    while state:
        send_one()
    assert {topic: payload for topic, payload in broker.items() if payload} == wanted
    assert state.topics == set(wanted)
