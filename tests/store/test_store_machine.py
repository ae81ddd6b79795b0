"""The store against a model of it, whatever happens in whatever order: commits, deliveries, disks that come and go."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from asit_edge.messages.event import Event
from asit_edge.store.store import Store
from tests.store.samples import event

SINKS = ("mqtt", "siren")


class StoreMachine(RuleBasedStateMachine):
    """`waiting` is what each sink must still get, in order; nothing else may ever be given to it."""

    def __init__(self) -> None:
        super().__init__()
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr("asit_edge.store.disk.RETRY_DISK", 0.0)
        self._folder = tempfile.TemporaryDirectory()
        self.count = 0
        self.broken = False
        self.waiting: dict[str, list[str]] = {sink: [] for sink in SINKS}
        self.refused: list[tuple[str, str]] = []
        self.history: list[tuple[int, str]] = []
        self.store = self.open()

    def open(self) -> Store:
        return Store(Path(self._folder.name) / "events.db", sinks={sink: lambda _: True for sink in SINKS})

    def teardown(self) -> None:
        self.store.close()
        self._patch.undo()
        self._folder.cleanup()

    @rule(many=st.integers(1, 4))
    def commit(self, many: int) -> None:
        events = [event(self.count + number) for number in range(many)]
        self.count += many
        written = self.store.commit(events, "mic/event")
        assert [one.id for one in written] == [one.id for one in events]
        self.history += [(one.seq, one.id) for one in written]
        for sink in SINKS:
            self.waiting[sink] += [one.id for one in events]

    @rule(sink=st.sampled_from(SINKS), most=st.integers(1, 5), data=st.data())
    def deliver_some(self, sink: str, most: int, data: st.DataObject) -> None:
        given = self.store.waiting(sink, 0, most)
        taken = data.draw(st.sets(st.sampled_from(given))) if given else set()
        self.store.delivered([one.row for one in taken])
        gone = {Event.model_validate_json(one.payload).id for one in taken}
        self.waiting[sink] = [name for name in self.waiting[sink] if name not in gone]

    @rule(sink=st.sampled_from(SINKS))
    def refuse_the_oldest(self, sink: str) -> None:
        for oldest in self.store.waiting(sink, 0, 1):
            self.store.refuse(oldest.row, "no")
            self.refused.append((sink, self.waiting[sink].pop(0)))

    @rule()
    def the_disk_fails(self) -> None:
        self.broken = True
        self.store._disk.database.execute("PRAGMA query_only=ON")  # type: ignore[union-attr]

    @rule()
    def the_disk_is_back(self) -> None:
        self.broken = False
        self.store._disk.database.execute("PRAGMA query_only=OFF")  # type: ignore[union-attr]
        self.store.tend()
        assert self.store.problem is None

    @rule()
    def restart(self) -> None:
        self.the_disk_is_back()
        self.store.close()
        self.store = self.open()

    @invariant()
    def sinks_are_given_what_they_must_get_in_order(self) -> None:
        for sink in SINKS:
            given = self.store.waiting(sink, 0, 10_000)
            assert [Event.model_validate_json(one.payload).id for one in given] == self.waiting[sink]
            assert self.store.count_waiting(sink) == len(given)
            middle = given[len(given) // 2].row if given else 0
            assert self.store.waiting(sink, middle, 10_000) == [one for one in given if one.row > middle]
            assert self.store.count_waiting(sink, up_to=middle) == sum(one.row <= middle for one in given)
        assert len(self.store.refusals()) == self.store.refused == len(self.refused)

    @invariant()
    def numbers_are_counted_without_a_gap(self) -> None:
        assert [seq for seq, _ in self.history] == list(range(1, len(self.history) + 1))


StoreMachine.TestCase.settings = settings(max_examples=10, stateful_step_count=25, deadline=None)
test_the_store_keeps_its_promises = StoreMachine.TestCase
