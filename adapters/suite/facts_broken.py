"""Facts 25-52: what an adapter makes of deadlines, faults, repeats, crowds, and what it lets nobody see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import structlog

from adapters.kit.checked import is_about
from adapters.kit.protocol import Adapter
from adapters.suite import between as put
from adapters.suite.bench import Bench, Firm, NotApplicable, build, must, must_be, statuses
from adapters.suite.between import Break, Passed
from adapters.suite.certificates import untrusted_server
from standards.answer import ItemAnswer

SHORT_S: Final = 0.6
"""A deadline that a silent platform must not make an answer miss."""
GUARD_S: Final = 30.0
CROWD: Final = 20
IN_FLIGHT: Final = 4
COOLED_S: Final = 60.0
_DOWN: Final = ("UNAVAILABLE", "MAINTENANCE")
_SILENT: Final = ("TIMEOUT", "UNAVAILABLE")
_WRONG: Final = ("MALFORMED", "UNAVAILABLE")
_REFUSED: Final = ("DENIED", "UNAVAILABLE", "MALFORMED", "QUOTA_EXHAUSTED", "MAINTENANCE", "PENDING")
_PAGE: Final = b"<html><body>please log in</body></html>"


async def passed_deadline_asks_nobody(bench: Bench) -> None:
    """25 已过时限不问。A deadline that has passed is TIMEOUT, and nobody is asked."""
    bench.between.mends()
    must_be(await bench.ask(within_s=-1.0), "TIMEOUT")
    must(not bench.between.watched.calls, "the platform was asked")


async def silence_is_a_timeout(bench: Bench) -> None:
    """26 沉默即超时。A platform that never answers is TIMEOUT at the deadline."""
    await _broken(bench, put.stalls, *_SILENT, within_s=SHORT_S)


async def dripping_is_a_timeout(bench: Bench) -> None:
    """27 滴漏即超时。An answer that drips and never ends is TIMEOUT at the deadline."""
    await _broken(bench, put.drips, *_SILENT, within_s=SHORT_S)


async def a_cancelled_question_ends(bench: Bench) -> None:
    """28 取消即终止。A cancelled question is cancelled, and leaves no call behind."""
    bench.between.breaks(put.stalls)
    task = asyncio.create_task(bench.ask())
    await _until(lambda: bench.between.watched.under_way > 0)
    task.cancel()
    ended = await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), GUARD_S)
    must(isinstance(ended[0], asyncio.CancelledError), "the question answered instead of ending")
    await _until(lambda: bench.between.watched.under_way == 0)


async def a_cut_connection_is_a_status(bench: Bench) -> None:
    """29 连接被断有状态。A connection that is cut each time is UNAVAILABLE."""
    await _broken(bench, put.resets, "UNAVAILABLE")


async def a_cut_once_is_tried_again(bench: Bench) -> None:
    """30 断一次会重试。A connection cut once is tried again, and the question is answered."""
    bench.between.breaks(put.resets, path=bench.data_path, times=1)
    must("OK" in statuses(await bench.ask()), "one cut connection spoilt the answer")


async def half_an_answer_is_none(bench: Bench) -> None:
    """31 半个应答不算数。An answer that breaks off is never taken for a whole one."""
    await _broken(bench, put.breaks_off, *_WRONG)


async def a_truncated_body_is_malformed(bench: Bench) -> None:
    """32 截断应答为格式错误。A body that ends early, with a length that says so, is MALFORMED."""
    await _broken(bench, put.body_of(lambda passed: passed.body[: len(passed.body) // 2]), *_WRONG)


async def an_empty_body_is_not_nothing_found(bench: Bench) -> None:
    """33 空应答不等于无数据。An empty body is MALFORMED, not "nothing found"."""
    await _broken(bench, put.body_of(lambda _: b""), *_WRONG)


async def garbage_is_malformed(bench: Bench) -> None:
    """34 乱码为格式错误。Bytes that are no message are MALFORMED."""
    await _broken(bench, put.body_of(lambda _: b"\xff\xfe\x00<hello>"), *_WRONG)


async def a_web_page_is_malformed(bench: Bench) -> None:
    """35 网页为格式错误。A page for people with status 200 is MALFORMED."""
    await _broken(bench, put.status_of(200, _PAGE), *_WRONG)


async def oversized_is_stopped(bench: Bench) -> None:
    """36 超大应答被截止。An answer beyond the size cap that does not say its size is stopped: MALFORMED."""
    await _broken(bench, put.oversized, *_WRONG)


async def oversized_as_said_is_not_read(bench: Bench) -> None:
    """37 声明超大则不读。An answer that says it is beyond the size cap is not read: MALFORMED."""
    await _broken(bench, put.oversized_as_said, *_WRONG)


async def a_redirect_is_not_followed(bench: Bench) -> None:
    """38 不跟随重定向。A redirect is never followed."""
    answers = await _broken(bench, put.status_of(307, Location="/elsewhere"), *_WRONG)
    must("/elsewhere" not in bench.between.watched.calls, "it was followed")
    must(bool(answers), "no answer")


async def a_gateway_in_between_is_down(bench: Bench) -> None:
    """39 中间网关错误为不可用。A 502 of something in between is UNAVAILABLE."""
    await _broken(bench, put.status_of(502, _PAGE), *_DOWN)


async def a_refusal_is_a_refusal(bench: Bench) -> None:
    """40 拒绝就是拒绝。401 and 403 are never "nothing found"."""
    await _broken(bench, put.status_of(401), *_REFUSED)
    await _broken(bench, put.status_of(403), *_REFUSED)


async def too_many_calls_is_a_status(bench: Bench) -> None:
    """41 限流不等于无数据。429 is never "nothing found"."""
    await _broken(bench, put.status_of(429), *_REFUSED)


async def another_subjects_answer_is_refused(bench: Bench) -> None:
    """42 他人应答不成记录。The answer that belongs to another subject never becomes a record."""
    bench.between.mends()
    await bench.ask(bench.permit(about=bench.plan.other))
    theirs = {passed.path: passed.body for passed in bench.between.watched.passed}
    if bench.data_path not in theirs:
        raise NotApplicable("the platform has no data of the other subject")

    def swapped(passed: Passed) -> bytes:
        return theirs.get(passed.path, passed.body)

    bench.between.breaks(put.body_of(swapped), path=bench.data_path)
    answers = await bench.ask()
    told = [answer.item for answer in answers.values() if answer.records]
    must(not told, f"records of another subject: {', '.join(told)}")


async def a_changed_byte_is_noticed(bench: Bench) -> None:
    """43 改动一字节被发现。One byte changed under way in a message that carries a signature or seal is noticed."""

    def changed(passed: Passed) -> bytes:
        middle = len(passed.body) // 2
        return passed.body[:middle] + bytes([passed.body[middle] ^ 1]) + passed.body[middle + 1 :]

    bench.between.breaks(put.body_of(changed), path=bench.data_path)
    answers = await bench.ask()
    silent = [i for i, a in answers.items() if a.records and _records(a) != _records(bench.honest[i])]
    if silent:
        raise NotApplicable("its answers are protected by TLS alone, which this proxy stands behind")


async def nobody_listening_is_not_sent(bench: Bench) -> None:
    """44 无人监听则未发送。A refused connection is UNAVAILABLE, and the answer says that not a byte left."""
    await bench.between.vanish()
    answers = await bench.ask()
    must_be(answers, *_DOWN)
    must(not any(answer.was_sent for answer in answers.values()), "it claims that something was sent")


async def a_broken_platform_is_left_alone(bench: Bench) -> None:
    """45 坏平台不再打扰。After failures in a row the breaker opens: nothing reaches the platform any more."""
    bench.between.breaks(put.resets)
    await _open_breaker(bench)
    reached = len(bench.between.watched.calls)
    answers = await bench.ask()
    must({answer.detail for answer in answers.values()} == {"CIRCUIT_OPEN"}, "the breaker is not open")
    must(len(bench.between.watched.calls) == reached, "the platform was asked behind an open breaker")


async def a_crowd_at_a_half_open_breaker_is_one_probe(bench: Bench) -> None:
    """46 半开只探一次。Of 20 callers at a half-open breaker one probes at a time; the others ask nothing."""
    bench.between.breaks(put.resets)
    await _open_breaker(bench)
    bench.between.mends()
    bench.between.breaks(put.stalls)
    bench.clock.ahead_s += COOLED_S
    crowd = [asyncio.create_task(bench.ask(within_s=SHORT_S)) for _ in range(CROWD)]
    await asyncio.wait_for(asyncio.gather(*crowd), GUARD_S)
    # A probe whose caller ran out of time proved nothing, so another may follow it; never two at once.
    most = bench.between.watched.most_under_way
    must(most == 1, f"{most} calls were let through at once")


async def a_mended_platform_is_asked_again(bench: Bench) -> None:
    """47 恢复后重新询问。When the probe succeeds the breaker closes."""
    bench.between.breaks(put.resets)
    await _open_breaker(bench)
    bench.between.mends()
    bench.clock.ahead_s += COOLED_S
    await bench.ask()
    must("OK" in statuses(await bench.ask()), "the platform is still left alone")


async def a_crowd_does_not_mix(bench: Bench) -> None:
    """48 并发不串主体。Two subjects asked about at once, again and again, never get each other's records."""
    subjects = [bench.plan.subject, bench.plan.other] * (CROWD // 2)
    asked = [bench.ask(bench.permit(about=subject)) for subject in subjects]
    for subject, answers in zip(subjects, await asyncio.gather(*asked), strict=True):
        _about(subject, answers)


async def calls_in_flight_are_bounded(bench: Bench) -> None:
    """49 在途调用有上限。However many ask, a stalled platform has no more calls than the bulkhead lets through."""
    config = replace(bench.plan.config, options={**bench.plan.config.options, "in_flight": IN_FLIGHT})
    adapter = build(replace(bench.plan, config=config), bench.between.url, bench.clock)
    bench.between.breaks(put.stalls)
    try:
        crowd = [_asked(bench, adapter) for _ in range(CROWD)]
        await asyncio.wait_for(asyncio.gather(*crowd), GUARD_S)
    finally:
        await adapter.close()
    most = bench.between.watched.most_under_way
    must(most <= IN_FLIGHT, f"{most} calls were under way at once")


async def a_repeat_leaves_no_second_mark(bench: Bench) -> None:
    """50 重复询问只留一次痕迹。The same question, from another process too, is one enquiry in the books."""
    if bench.plan.marks is None:
        raise NotApplicable("the platform's books cannot be read from here (--books)")
    before = await bench.plan.marks()
    permit = bench.permit()
    await bench.ask(permit)
    await bench.ask(permit)
    async with bench.another_process() as second:
        await second.ask(permit, second.platform.items, deadline=bench.clock.monotonic() + GUARD_S)
    seen = await bench.plan.marks() - before
    must(seen == 1, f"{seen} enquiries in the platform's books")


async def nothing_secret_is_told(bench: Bench) -> None:
    """51 日志与说明不泄密。No secret, and not the subject's code or name, stands in a log line or a detail."""
    secrets = (*put.secret_texts(bench.plan.config.secrets), bench.plan.subject.code)
    secrets += (bench.plan.subject.name,) if bench.plan.subject.name else ()
    faults: tuple[Break, ...] = (
        put.status_of(500, bench.plan.subject.code.encode()),
        put.body_of(lambda passed: passed.body[:-3]),
        put.body_of(lambda _: bench.plan.subject.name.encode() or b"x"),
        put.resets,
    )
    with structlog.testing.capture_logs() as lines:
        told: list[str] = []
        for fault in faults:
            bench.clock.ahead_s += COOLED_S
            bench.between.breaks(fault, path=bench.data_path)
            told.extend(answer.detail for answer in (await bench.ask()).values())
    shown = str(lines) + "".join(told)
    must(not any(secret in shown for secret in secrets), "a secret or the subject is told")


async def an_unknown_authority_is_refused(bench: Bench) -> None:
    """52 不可信证书被拒。A server whose certificate no trusted authority signed is refused before anything is sent."""
    async with untrusted_server() as (url, reached):
        plan = bench.plan
        secrets = {name: file for name, file in plan.config.secrets.items() if name != "ca"}
        adapter = build(replace(plan, config=replace(plan.config, secrets=secrets)), url, bench.clock)
        try:
            answers = await _asked(bench, adapter)
        finally:
            await adapter.close()
    must_be(answers, *_DOWN)
    must(not reached, "a request reached a server that nobody vouches for")


async def _broken(bench: Bench, fault: Break, *allowed: str, within_s: float = GUARD_S) -> dict[str, ItemAnswer]:
    """Break the call that brings the data; every item then has one of ``allowed``, or was answered by another call."""
    bench.clock.ahead_s += COOLED_S
    bench.between.breaks(fault, path=bench.data_path)
    answers = await asyncio.wait_for(bench.ask(within_s=within_s), GUARD_S * 2)
    must_be(answers, *allowed)
    return answers


async def _open_breaker(bench: Bench) -> None:
    for _ in range(8):
        await bench.ask()


async def _asked(bench: Bench, adapter: Adapter) -> dict[str, ItemAnswer]:
    deadline = bench.clock.monotonic() + SHORT_S
    answers = await adapter.ask(bench.permit(), adapter.platform.items, deadline=deadline)
    return {answer.item: answer for answer in answers}


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(GUARD_S):
        while not holds():  # noqa: ASYNC110 - the proxy counts, it tells nobody
            await asyncio.sleep(0.01)


def _about(subject: Firm, answers: dict[str, ItemAnswer]) -> None:
    for answer in answers.values():
        for record in answer.records:
            must(is_about(record, subject.code), f"{answer.item} holds another subject's record")


def _records(answer: ItemAnswer) -> list[bytes]:
    return [record.SerializeToString(deterministic=True) for record in answer.records]


BROKEN: Final = (
    passed_deadline_asks_nobody,
    silence_is_a_timeout,
    dripping_is_a_timeout,
    a_cancelled_question_ends,
    a_cut_connection_is_a_status,
    a_cut_once_is_tried_again,
    half_an_answer_is_none,
    a_truncated_body_is_malformed,
    an_empty_body_is_not_nothing_found,
    garbage_is_malformed,
    a_web_page_is_malformed,
    oversized_is_stopped,
    oversized_as_said_is_not_read,
    a_redirect_is_not_followed,
    a_gateway_in_between_is_down,
    a_refusal_is_a_refusal,
    too_many_calls_is_a_status,
    another_subjects_answer_is_refused,
    a_changed_byte_is_noticed,
    nobody_listening_is_not_sent,
    a_broken_platform_is_left_alone,
    a_crowd_at_a_half_open_breaker_is_one_probe,
    a_mended_platform_is_asked_again,
    a_crowd_does_not_mix,
    calls_in_flight_are_bounded,
    a_repeat_leaves_no_second_mark,
    nothing_secret_is_told,
    an_unknown_authority_is_refused,
)
"""In the order of their numbers."""
