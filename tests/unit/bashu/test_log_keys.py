"""A log whose key is succeeded: several known keys, the sentence when none of them signed, a watch that follows."""

import json
from dataclasses import dataclass

import pytest

from bashu.alarms import Alarm, LogAlarm
from bashu.profiles import Profile, ProfileError
from bashu.verify import LogKeys, VerificationError, VerifierKey, verify_checkpoint, verify_export
from bashu.verify.lines import answers, check_checkpoint
from bashu.watch import LogWatch
from tests.unit.bashu.conftest import Log
from tests.unit.bashu.test_ledger_follow import Gateway
from tests.unit.bashu.test_verify_export import Story, export, sound

LEAVES = [bytes([number]) * 32 for number in range(5)]


@dataclass
class Both:
    """Signs as a log does during an overlap."""

    old: Log
    new: Log

    def checkpoint(self, hashes):
        return self.old.checkpoint(hashes) + self.new.checkpoint(hashes).split("\n\n")[1]


@pytest.fixture
def successor():
    return Log()


def test_during_an_overlap_each_key_alone_opens_the_checkpoint(log, successor):
    note = Both(log, successor).checkpoint(LEAVES)
    for known in (log.vkey, successor.vkey, f"{log.vkey}\n{successor.vkey}", [log.vkey, successor.vkey]):
        assert verify_checkpoint(note, LogKeys.parse(known)).size == 5
    assert len(verify_checkpoint(note, LogKeys.parse([log.vkey, successor.vkey])).signed_by) == 2


def test_one_known_key_is_enough_and_a_wrong_signature_by_another_known_key_refuses_the_note(log, successor):
    both = LogKeys.parse([log.vkey, successor.vkey])
    assert verify_checkpoint(log.checkpoint(LEAVES), both).signed_by == (both.keys[0].key_id,)
    other = successor.checkpoint(LEAVES[:4]).split("\n\n")[1]
    assert verify_checkpoint(log.checkpoint(LEAVES) + other, VerifierKey.parse(log.vkey)).size == 5
    with pytest.raises(VerificationError, match="does not hold"):
        verify_checkpoint(log.checkpoint(LEAVES) + other, both)


def test_who_knows_only_the_old_key_is_told_that_the_log_may_have_a_new_one(log, successor):
    with pytest.raises(VerificationError, match="日志可能已更换密钥 the log may have a new key") as refusal:
        verify_checkpoint(successor.checkpoint(LEAVES), VerifierKey.parse(log.vkey))
    assert VerifierKey.parse(log.vkey).key_id.hex() in str(refusal.value)
    assert VerifierKey.parse(successor.vkey).key_id.hex() in str(refusal.value)
    stranger = Log(origin="other.example")
    with pytest.raises(VerificationError) as refusal:
        verify_checkpoint(stranger.checkpoint(LEAVES), VerifierKey.parse(log.vkey))
    assert "new key" not in str(refusal.value)


@pytest.mark.parametrize("wrong", ["", [], [7], None, {}, "x", [Log().vkey, Log(origin="other.example").vkey]])
def test_keys_that_are_none_or_of_two_logs_are_refused(wrong):
    with pytest.raises(VerificationError):
        LogKeys.parse(wrong)


def test_lines_and_profiles_take_one_key_or_a_list(log, successor, tmp_path):
    lines = [json.dumps({"note": successor.checkpoint(LEAVES), "vkey": [log.vkey, successor.vkey]})]
    assert [json.loads(answer)["ok"] for answer in answers(lines, check_checkpoint)] == [True]
    entries = 'endpoint = "x:1"\nparticipant = "p"\nkid = "k"\nprivate_key = "f"\n'
    file = tmp_path / "bashu.toml"
    file.write_text(f"{entries}vkey = {json.dumps([log.vkey, successor.vkey])}\n")
    assert len(LogKeys.parse(Profile.read(file).vkey).keys) == 2
    file.write_text(f"{entries}vkey = [7]\n")
    with pytest.raises(ProfileError):
        Profile.read(file)


# The watch


def step(vkey, to):
    story = Story()
    story.revision = 50
    status = {"to": to, "reason": "LOG_KEY", "actor": "OPERATOR"}
    story.add("KEY_EVENT", object=vkey, status=status)
    return story.leaves[0].replace(b"-000000000000", f"-{hash((vkey, to)) % 10**12:012d}".encode())


@pytest.fixture
def gateway(log):
    return Gateway(log, sound().leaves)


@pytest.fixture
def watching(gateway, tmp_path):
    return LogWatch(tmp_path / "state" / "checkpoint", VerifierKey.parse(gateway.log.vkey))


def grow(gateway, *leaves):
    gateway.leaves = [*gateway.leaves, *leaves]


async def test_a_watch_that_knows_the_old_key_follows_the_succession_to_its_end(gateway, watching, log, successor):
    await watching.look(gateway)
    grow(gateway, step(log.vkey, "FIRST"), step(successor.vkey, "ADDED"))
    await watching.look(gateway)
    gateway.log = Both(log, successor)
    grow(gateway, step(successor.vkey, "OVERLAP"))
    await watching.look(gateway)
    gateway.log = successor
    grow(gateway, step(log.vkey, "RETIRED"))
    assert (await watching.look(gateway)).size == 18
    grow(gateway, b"{}")
    assert (await watching.look(gateway)).before == 18
    gateway.log = log
    grow(gateway, b"[]")
    with pytest.raises(LogAlarm) as alarm:
        await watching.look(gateway)
    assert alarm.value.alarm is Alarm.UNSIGNED


async def test_a_watch_that_saw_nothing_of_a_succession_says_that_the_key_is_not_known(
    gateway, watching, log, successor
):
    await watching.look(gateway)
    gateway.log = successor
    grow(gateway, step(log.vkey, "FIRST"), step(successor.vkey, "ADDED"), step(log.vkey, "RETIRED"))
    with pytest.raises(LogAlarm, match="the log may have a new key") as alarm:
        await watching.look(gateway)
    assert alarm.value.alarm is Alarm.UNSIGNED


async def test_a_successor_that_only_the_gateway_names_is_not_believed(gateway, watching, log, successor):
    await watching.look(gateway)
    grow(gateway, b"{}")
    told = await gateway.list_log_keys()
    told.keys.add(vkey=successor.vkey).events.add(leaf_index=14, leaf=step(successor.vkey, "ADDED"))

    async def lying():
        return told

    gateway.list_log_keys = lying
    with pytest.raises(LogAlarm) as alarm:
        await watching.look(gateway)
    assert alarm.value.alarm is Alarm.UNPROVEN
    gateway.log = successor
    with pytest.raises(LogAlarm) as alarm:
        await watching.look(gateway)
    assert alarm.value.alarm is Alarm.UNSIGNED


def test_an_export_signed_by_a_key_that_it_says_ended_is_refused(log, successor):
    leaves = [*sound().leaves, step(log.vkey, "FIRST"), step(successor.vkey, "ADDED"), step(log.vkey, "RETIRED")]
    known = LogKeys.parse([log.vkey, successor.vkey])
    verdict = verify_export(lambda: export(leaves, log), known)
    assert [finding.code for finding in verdict.findings] == ["KEY_ENDED"]
    assert verify_export(lambda: export(leaves, successor), known).holds
