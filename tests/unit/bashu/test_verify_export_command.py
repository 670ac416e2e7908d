"""`bashu verify export` as an auditor meets it: verdict, findings, exit code."""

import json

import pytest
from typer.testing import CliRunner

from bashu.cli import app
from tests.unit.bashu.conftest import Log
from tests.unit.bashu.test_verify_export import CONSENT, Story, export, sound


@pytest.fixture
def kept(tmp_path, log):
    file = tmp_path / "export.jsonl"
    file.write_bytes(b"".join(export(sound().leaves, log)))
    return file


def run(*arguments, code=0, stdin=None):
    result = CliRunner().invoke(app, ["verify", "export", *(str(argument) for argument in arguments)], input=stdin)
    assert result.exit_code == code, result.output
    return result


def test_a_whole_export_ends_with_0_from_a_file_and_from_stdin(kept, log):
    assert "通过 ok" in run(kept, "--vkey", log.vkey).output
    verdict = json.loads(run("-", "--vkey", log.vkey, "--json", stdin=kept.read_bytes()).stdout)
    assert (verdict["ok"], verdict["error"], verdict["is_whole"], verdict["findings"]) == (True, None, True, [])


def test_a_changed_leaf_ends_with_4_and_is_named(kept, log):
    lines = kept.read_bytes().split(b"\n")
    lines[3] = lines[3].replace(b'"leaf": "e', b'"leaf": "f')
    kept.write_bytes(b"\n".join(lines))
    assert "ERROR line 4 leaf 3 PROOF_WRONG" in run(kept, "--vkey", log.vkey, code=4).output
    verdict = json.loads(run(kept, "--vkey", log.vkey, "--json", code=4).stdout)
    assert (verdict["ok"], verdict["findings"][0]["line"], verdict["findings"][0]["leaf_index"]) == (False, 4, 3)


def test_a_release_after_the_revocation_is_named(tmp_path, log):
    file = tmp_path / "export.jsonl"
    file.write_bytes(b"".join(export(Story().register().ask().status("REVOKED").close().leaves, log)))
    assert "leaf 3 RELEASE_AFTER_REVOKED" in run(file, "--vkey", log.vkey, code=4).output


def test_filters_say_what_the_export_should_hold(kept, log):
    run(kept, "--vkey", log.vkey, "--institution", "bank", code=4)
    run(kept, "--vkey", log.vkey, "--month", "2026-03")
    run(kept, "--vkey", log.vkey, "--consent", CONSENT, code=4)
    run(kept, "--vkey", log.vkey, "--from-index", "1", code=4)


def test_another_key_a_missing_file_and_no_key_have_their_exit_codes(kept, log):
    run(kept, "--vkey", Log().vkey, code=4)
    run(kept.with_name("none"), "--vkey", log.vkey, code=2)
    run(kept, code=2)
    run(kept, "--vkey", "nonsense+1", code=4)
