"""Exports into files that are interrupted, and a watch over a log that grows, rewinds or forks."""

import base64
import hashlib
import json

import grpc
import pytest

from bashu.alarms import Alarm, LogAlarm
from bashu.entry_reading import EntryReading, Which
from bashu.errors import BashuCallError
from bashu.exporting import ExportRefusedError, export_to
from bashu.v1 import ledger_pb2
from bashu.verify import Selection, VerifierKey
from bashu.watch import LogWatch
from tests.unit.bashu.conftest import Log, recursive_consistency, recursive_path
from tests.unit.bashu.test_verify_export import export, sound


def refusal(reason):
    return BashuCallError(reason=reason, message=reason, code=grpc.StatusCode.UNAVAILABLE, turn="OPERATOR")


class Gateway:
    """A client whose gateway has ``leaves``; ``breaks_after`` lines of an export the connection goes."""

    def __init__(self, log, leaves):
        self.log = log
        self.leaves = leaves
        self.breaks_after = None
        self.asked = []
        self.refuses = {}
        self.shown = None
        """What it shows as entries, by index, where that is not the tree's."""

    def cosigned(self):
        raise refusal("NOT_FOUND_OR_NOT_YOURS")

    @property
    def hashes(self):
        return [hashlib.sha256(b"\x00" + leaf).digest() for leaf in self.leaves]

    async def get_checkpoint(self, *, witnessed=False):
        if witnessed:
            return self.cosigned()
        if "checkpoint" in self.refuses:
            raise refusal(self.refuses["checkpoint"])
        note = self.log.checkpoint(self.hashes)
        return ledger_pb2.GetCheckpointResponse(checkpoint=note, tree_size=len(self.leaves))

    async def get_consistency_proof(self, from_size, to_size):
        if "consistency" in self.refuses:
            raise refusal(self.refuses["consistency"])
        proof = recursive_consistency(from_size, self.hashes[:to_size])
        return ledger_pb2.GetConsistencyProofResponse(proof=proof)

    async def list_log_keys(self):
        keys = {}
        for index, leaf in enumerate(self.leaves):
            if b'"LOG_KEY"' in leaf:
                event = ledger_pb2.LedgerEntry(leaf_index=index, leaf=leaf)
                keys.setdefault(json.loads(leaf)["object"], []).append(event)
        return ledger_pb2.ListLogKeysResponse(
            keys=[ledger_pb2.LogKey(vkey=vkey, events=events) for vkey, events in keys.items()]
        )

    async def get_inclusion_proof(self, index, *, tree_size):
        return ledger_pb2.GetInclusionProofResponse(proof=recursive_path(index, self.hashes[:tree_size]))

    async def list_entries(self, *, from_index, page_size, whole):
        assert whole
        shown = dict(enumerate(self.leaves)) if self.shown is None else self.shown
        page = [
            ledger_pb2.LedgerEntry(leaf_index=index, leaf=leaf)
            for index, leaf in sorted(shown.items())
            if index >= from_index
        ]
        self.asked.append(from_index)
        return ledger_pb2.ListEntriesResponse(entries=page[:page_size])

    async def export_entries(self, *, from_index, tree_size, **_):
        self.asked.append((from_index, tree_size))
        lines = export(self.leaves[:tree_size], self.log)[from_index:]
        for number, line in enumerate(lines):
            if number == self.breaks_after:
                raise refusal("UNREACHABLE")
            yield line.removesuffix(b"\n")


@pytest.fixture
def gateway(log):
    return Gateway(log, sound().leaves)


@pytest.fixture
def watching(gateway, tmp_path):
    return LogWatch(tmp_path / "state" / "checkpoint", VerifierKey.parse(gateway.log.vkey))


async def test_an_interrupted_export_becomes_the_same_to_the_byte_though_the_log_grew(gateway, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert await export_to(gateway, whole, Selection()) == len(gateway.leaves)
    gateway.breaks_after = 5
    with pytest.raises(BashuCallError):
        await export_to(gateway, broken, Selection())
    with broken.open("ab") as out:
        out.write(b'{"leaf_index": 5, "le')
    gateway.leaves = [*gateway.leaves, b"{}"]
    gateway.breaks_after = None
    assert await export_to(gateway, broken, Selection()) == 9
    assert gateway.asked[-1] == (5, 14)
    assert broken.read_bytes() == whole.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "broken"}
    assert broken.stat().st_mode & 0o077 == 0


async def test_an_export_broken_off_before_its_first_or_after_its_last_line_is_finished(gateway, tmp_path):
    file = tmp_path / "export"
    gateway.breaks_after = 0
    with pytest.raises(BashuCallError):
        await export_to(gateway, file, Selection())
    gateway.breaks_after = None
    await export_to(gateway, file, Selection())
    content = file.read_bytes()
    kept = {"tree_size": 14, "selection": {"consent_id": "", "institution": "", "month": "", "from_index": 0}}
    (tmp_path / "export.resume").write_text(json.dumps(kept))
    assert await export_to(gateway, file, Selection()) == 0
    assert file.read_bytes() == content


async def test_a_complete_export_and_one_of_other_filters_are_not_written_over(gateway, tmp_path):
    file = tmp_path / "export"
    await export_to(gateway, file, Selection())
    with pytest.raises(ExportRefusedError):
        await export_to(gateway, file, Selection())
    gateway.breaks_after = 2
    with pytest.raises(BashuCallError):
        await export_to(gateway, tmp_path / "other", Selection())
    with pytest.raises(ExportRefusedError):
        await export_to(gateway, tmp_path / "other", Selection(institution="bank"))


async def test_a_log_that_grows_is_followed_and_kept(gateway, watching, tmp_path):
    first = await watching.look(gateway)
    assert (first.size, first.before) == (14, None)
    gateway.leaves = [*gateway.leaves, b"{}", b"[]"]
    grown = await watching.look(gateway)
    assert (grown.size, grown.before) == (16, 14)
    again = await watching.look(gateway)
    assert (again.size, again.before) == (16, 16)


async def alarm_of(watching, gateway):
    with pytest.raises(LogAlarm) as raised:
        await watching.look(gateway)
    return raised.value.alarm


async def test_a_rewound_a_changed_and_an_unproven_log_raise_an_alarm_that_stays(gateway, watching, tmp_path):
    await watching.look(gateway)
    state = (tmp_path / "state" / "checkpoint").read_bytes()
    true = gateway.leaves
    gateway.leaves = true[:-1]
    assert await alarm_of(watching, gateway) is Alarm.REWOUND
    gateway.leaves = [*true[:-1], b"{}"]
    assert await alarm_of(watching, gateway) is Alarm.FORKED
    gateway.leaves = [*true[:3], b"{}", *true[4:], b"{}"]
    assert await alarm_of(watching, gateway) is Alarm.FORKED
    assert (tmp_path / "state" / "checkpoint").read_bytes() == state
    assert (tmp_path / "state" / "checkpoint.alarm").exists()
    gateway.leaves = [*true, b"{}"]
    gateway.refuses = {"consistency": "NOT_FOUND_OR_NOT_YOURS"}
    assert await alarm_of(watching, gateway) is Alarm.UNPROVEN
    gateway.refuses = {"checkpoint": "EVIDENCE_STALE"}
    assert await alarm_of(watching, gateway) is Alarm.REWOUND


async def test_a_checkpoint_of_another_key_and_a_spoiled_state_raise_an_alarm(gateway, watching, tmp_path):
    await watching.look(gateway)
    true, gateway.log = gateway.log, Log()
    assert await alarm_of(watching, gateway) is Alarm.UNSIGNED
    gateway.log = true
    kept = tmp_path / "state" / "checkpoint"
    kept.write_bytes(kept.read_bytes()[::-1])
    assert await alarm_of(watching, gateway) is Alarm.STATE_BROKEN


async def test_a_gateway_that_does_not_answer_is_no_alarm(gateway, watching):
    await watching.look(gateway)
    gateway.leaves = [*gateway.leaves, b"{}"]
    for call in ("checkpoint", "consistency"):
        gateway.refuses = {call: "UNREACHABLE"}
        with pytest.raises(BashuCallError):
            await watching.look(gateway)


@pytest.fixture
def reading(gateway, tmp_path):
    def of(which):
        reading = EntryReading(tmp_path / "state" / "entries", which)
        return LogWatch(tmp_path / "state" / "checkpoint", VerifierKey.parse(gateway.log.vkey), reading=reading)

    return of


async def test_entries_are_read_once_each_and_all_again_when_asked(gateway, reading):
    assert (await reading(Which.NEW).look(gateway)).entries == 14
    gateway.leaves = [*gateway.leaves, b"{}"]
    assert (await reading(Which.NEW).look(gateway)).entries == 1
    assert gateway.asked == [0, 14]
    assert (await reading(Which.NEW).look(gateway)).entries == 0
    assert (await reading(Which.ALL).look(gateway)).entries == 15


async def test_pages_are_read_to_the_end_of_the_checkpoint_and_no_further(gateway, reading, monkeypatch):
    monkeypatch.setattr("bashu.entry_reading.PAGE", 4)
    gateway.shown = {**dict(enumerate(gateway.leaves)), 14: b"not sealed yet"}
    assert (await reading(Which.NEW).look(gateway)).entries == 14
    assert gateway.asked == [0, 4, 8, 12]


@pytest.mark.parametrize("leaf", range(14))
async def test_a_changed_entry_beneath_an_untouched_tree_is_named(gateway, reading, leaf):
    gateway.shown = {**dict(enumerate(gateway.leaves)), leaf: b"another"}
    with pytest.raises(LogAlarm, match=rf"ENTRY_CHANGED: leaf {leaf} ") as raised:
        await reading(Which.ALL).look(gateway)
    assert raised.value.alarm is Alarm.ENTRY_CHANGED


async def test_of_two_swapped_entries_the_first_is_named(gateway, reading):
    gateway.shown = {**dict(enumerate(gateway.leaves)), 6: gateway.leaves[7], 7: gateway.leaves[6]}
    with pytest.raises(LogAlarm, match="ENTRY_CHANGED: leaf 6 "):
        await reading(Which.NEW).look(gateway)


@pytest.mark.parametrize("leaf", [0, 6, 13])
async def test_a_missing_entry_is_named_but_an_earlier_changed_one_first(gateway, reading, leaf):
    gateway.shown = {index: entry for index, entry in enumerate(gateway.leaves) if index != leaf}
    with pytest.raises(LogAlarm, match=rf"ENTRY_MISSING: leaf {leaf} "):
        await reading(Which.NEW).look(gateway)
    gateway.shown[3] = b"another"
    earlier = "CHANGED: leaf 3" if leaf > 3 else f"MISSING: leaf {leaf}"
    with pytest.raises(LogAlarm, match=earlier):
        await reading(Which.NEW).look(gateway)


async def test_what_was_changed_after_it_was_read_is_found_by_reading_all_again(gateway, reading):
    await reading(Which.NEW).look(gateway)
    gateway.shown = {**dict(enumerate(gateway.leaves)), 2: b"another"}
    assert (await reading(Which.NEW).look(gateway)).entries == 0
    with pytest.raises(LogAlarm, match="ENTRY_CHANGED: leaf 2 "):
        await reading(Which.ALL).look(gateway)


HASH = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    "kept",
    [
        "{}",
        "[]",
        "not json",
        '{"peaks": [[0, "AA=="]]}',
        '{"peaks": [["8", "AA=="]]}',
        f'{{"peaks": [[-8, "{HASH}"]]}}',
        f'{{"peaks": [[3, "{HASH}"]]}}',
        f'{{"peaks": [[8, "{HASH}"]]}}',
        f'{{"peaks": [[1024, "{HASH}"]]}}',
    ],
)
async def test_a_fold_that_is_none_or_another_logs_is_said_to_be_so_and_no_entry_is_blamed(
    gateway, reading, tmp_path, kept
):
    await reading(Which.NEW).look(gateway)
    (tmp_path / "state" / "entries").write_text(kept)
    with pytest.raises(LogAlarm, match=r"STATE_BROKEN.*remove it"):
        await reading(Which.NEW).look(gateway)
    assert (await reading(Which.ALL).look(gateway)).entries == 14
