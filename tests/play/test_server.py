"""The page's server: what it answers, whom it refuses, what it stops, and that it ends."""

import http.client
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gencomp
from gencomp.budget import Budget, Cost
from gencomp.cli.main import run
from gencomp.errors import GencompError
from gencomp.play import server as server_module
from gencomp.play.desk import MAX_TEXT, Desk, Pace, RequestError, common, draw_of
from gencomp.play.examples import EXAMPLES
from gencomp.play.jobs import Compilations, Jobs, failure, merged
from gencomp.play.server import HOST, MAX_BODY, Server
from tests.play.serving import Client, serving

TEXT = b"She sells sea shells by the sea shore, she sells sea shells."


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with serving() as server:
        yield Client(server)


def costs_of(events: list[Any]) -> list[float]:
    found: list[float] = []
    for event in events:
        if event["event"] == "costs":
            found[event["start"] :] = event["costs"]
    return found


def test_the_page_and_its_files_are_given(client: Client) -> None:
    status, body, headers = client.get("")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    names = re.findall(rb'(?:src|href)="([\w.]+\.(?:js|css))"', body)
    assert len(names) == 2
    seen = set()
    while names:
        name = names.pop().decode()
        if name in seen:
            continue
        seen.add(name)
        status, script, headers = client.get(name)
        assert status == 200
        assert headers["X-Content-Type-Options"] == "nosniff"
        names += re.findall(rb'from "\./([\w.]+)"', script)
    assert {"main.js", "column.js", "style.css", "bytes.js"} <= seen
    start = json.loads(client.get("api/start")[1])
    assert {"gzip", "mix", "rnn"} <= {entry["name"] for entry in start["names"]}
    assert start["limits"]["text"] == MAX_TEXT


def test_only_its_own_page_is_answered(client: Client) -> None:
    port, token = client.server.port, client.server.token
    own = f"{HOST}:{port}"
    good: list[dict[str, str]] = [{}, {"Host": f"localhost:{port}"}, {"Origin": f"http://{own}"}]
    bad = [
        {"Host": f"evil.example:{port}"},
        {"Host": "127.0.0.1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"https://{own}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ]
    for headers in good:
        assert client.get("api/start", **headers)[0] == 200
    for headers in bad:
        status, body, _ = client.get("api/start", **headers)
        assert (status, b"own page alone" in body) == (403, True), headers
        assert client.post("api/paper", {}, **headers)[0] == 403
    for path in ("/", "/api/start", f"/{token[:-1]}/", f"/{token}x/api/start", f"/{token}", "/%2e%2e/", "//"):
        status, body, _ = client.request("GET", path)
        assert (status, b"lacks its token" in body) == (403, True), path


def test_only_questions_of_the_page_are_answered(client: Client) -> None:
    path = f"/{client.server.token}/api/check"
    form = {"Content-Type": "text/plain"}
    assert client.request("POST", path, b"{}", form)[0] == 415
    assert client.request("POST", path, b"{}", {})[0] == 415
    json_type = {"Content-Type": "application/json"}
    for body in (b"", b"[]", b"null", b"{", b"[" * 100_000, b'"\xff"'):
        assert client.request("POST", path, body, json_type)[0] == 400, body[:10]
    status, answer, _ = client.request("POST", path, bytes(MAX_BODY + 1), json_type)
    assert (status, b"65,536 bytes" in answer) == (413, True)
    assert client.get("../desk.py")[0] == client.get("%2e%2e/desk.py")[0] == client.get("nothing.js")[0] == 404
    assert client.post("api/nothing", {})[0] == 404
    assert client.request("PUT", path, b"{}", json_type)[0] == 501
    for record in ({}, {"spec": 5}, {"spec": "gzip", "text": "!"}, {"spec": "gzip", "text": 5, "position": 0}):
        status, answer = client.post("api/candidates", record)
        assert (status, "error" in answer) == (200, True)
    for position in (-1, 4, True, "1", 1.0):
        status, answer = client.post("api/candidates", {"spec": "gzip", "text": "YWJj", "position": position})
        assert (status, "from 0 to 3" in answer["error"]) == (200, True)
    status, answer = client.post("api/check", {"spec": "gzipp"})
    assert "did you mean gzip" in answer["error"]
    assert client.post("api/check", {"spec": "gzip?level=9"})[1]["spec"] == "gzip"


@pytest.mark.parametrize("spec", ["gzip", "counts:2"])
def test_costs_are_streamed_and_add_up(client: Client, spec: str) -> None:
    events = client.stream("api/costs", TEXT, spec=spec)
    assert [events[0]["event"], events[-1]["event"]] == ["begin", "end"]
    expected = gencomp.costs(spec, TEXT)
    assert costs_of(events) == pytest.approx(expected.tolist(), abs=1e-3)
    assert events[-1]["bits"] == pytest.approx(expected.sum(), abs=1e-3)
    if spec == "gzip":
        whole = gencomp.as_compressor(spec).code_length(TEXT)
        assert events[0]["framing"] + events[-1]["bits"] == pytest.approx(whole)
    changed = TEXT[:30] + b"!" + TEXT[30:]
    events = client.stream("api/costs", changed, spec=spec)
    first = next(event for event in events if event["event"] == "costs")
    assert len(first["costs"]) >= 30  # what was known of the beginning comes at once
    assert costs_of(events) == pytest.approx(gencomp.costs(spec, changed).tolist(), abs=1e-3)
    assert costs_of(client.stream("api/costs", b"", spec=spec)) == []


def test_small_states_are_kept_while_a_text_is_priced(book: bytes) -> None:
    desk = Desk()
    list(desk.costs("rnn", book[:1000]))
    opened = desk.open("rnn")
    assert len(opened.points) == 4  # after 0, 256, 512 and 768 bytes
    text = book[:700] + b"?" + book[700:1100]
    assert costs_of(list(desk.costs("rnn", text))) == pytest.approx(gencomp.costs("rnn", text).tolist(), abs=1e-3)
    assert len(opened.points) == 6
    assert not desk.open("mix").points.are_small


def test_normalized_costs_are_a_predictors(client: Client) -> None:
    events = client.stream("api/costs", TEXT[:20], spec="gzip", normalized=True)
    assert costs_of(events) == pytest.approx(gencomp.score("gzip", TEXT[:20]).costs.tolist(), abs=1e-3)


def test_candidates_are_the_models_and_the_strategys(client: Client) -> None:
    draw = {"temperature": 0.5, "top_k": 3, "seen": True}
    answer = client.ask("api/candidates", TEXT, spec="gzip", position=20, draw=draw)
    candidates = gencomp.candidates("gzip", TEXT[:20])
    weights = draw_of(draw, TEXT[:20]).weights(candidates.code_lengths)
    assert answer["kraft"] == pytest.approx(candidates.kraft_sum)
    assert answer["actual"] == TEXT[20]
    assert answer["possible"] == np.count_nonzero(weights) == 3
    for row in answer["candidates"]:
        assert row["bits"] == pytest.approx(float(candidates.charged[row["byte"]]), abs=1e-3)
        assert row["p"] == pytest.approx(float(candidates.probabilities[row["byte"]]))
        assert row["drawn"] == pytest.approx(int(weights[row["byte"]]) / int(weights.sum()))
    assert [row["byte"] for row in answer["candidates"]][:5] == candidates.top(5)
    end = client.ask("api/candidates", TEXT, spec="counts:2")
    assert (end["position"], end["actual"]) == (len(TEXT), None)
    for draw in ({"temperature": 0}, {"temperature": "1"}, {"top_k": 0}, {"top_k": 1.5}, {"top_p": 2}, "x"):
        _, answer = client.post("api/candidates", {"spec": "gzip", "text": "", "draw": draw})
        assert "error" in answer, draw


def test_a_parse_is_the_codecs(client: Client) -> None:
    answer = client.ask("api/parse", TEXT, spec="gzip")
    parse = gencomp.parse("gzip", TEXT)
    assert answer["phrases"] == [
        [phrase.position, phrase.length, phrase.distance, phrase.bits, 0] for phrase in parse.phrases
    ]
    assert any(phrase[2] for phrase in answer["phrases"])
    assert dict(answer["blocks"][0]["codes"]) == dict(parse.blocks[0].codes)
    status, answer = client.post("api/parse", {"spec": "counts:2", "text": ""})
    assert (status, answer["error"]) == (
        200,
        "counts:2 does not show literals and copies; gzip, zlib, zstd and lzma do",
    )


def test_the_coders_interval_is_exact(client: Client) -> None:
    answer = client.ask("api/coder", TEXT, spec="counts:2", position=30)
    explanation = gencomp.explain("counts:2", TEXT[:30])
    last = explanation.steps[-1].after
    low, high, unit = int(answer["low"]), int(answer["high"]), 2 ** answer["exponent"]
    assert (last.low * unit, last.high * unit) == (low, high)
    assert (answer["start"], answer["code"]) == (0, explanation.code)
    later = client.ask("api/coder", TEXT * 3, spec="counts:2", position=150)
    assert (later["start"], len(later["labels"])) == (150 - 16, 16)
    assert later["code"] == gencomp.explain("counts:2", (TEXT * 3)[134:150], (TEXT * 3)[:134]).code
    empty = client.ask("api/coder", b"", spec="counts:2", position=0)
    assert (empty["low"], empty["high"], empty["exponent"], empty["code"]) == ("0", "1", 0, "")
    paper = client.ask("api/paper")
    assert (paper["code"], "".join(paper["labels"])) == ("0101010", "AIXI")


def test_generated_bytes_are_those_of_sample(client: Client) -> None:
    draw = {"length": 25, "seed": 7, "temperature": 0.8, "top_p": 0.95, "seen": True}
    events = client.stream("api/generate", TEXT, spec="counts:2", draw=draw)
    drawn = bytes(byte for event in events if event["event"] == "bytes" for byte in event["bytes"])
    alphabet = tuple(sorted(set(TEXT)))
    expected = gencomp.sample(
        "counts:2", prompt=TEXT, length=25, seed=7, temperature=0.8, top_p=0.95, alphabet=alphabet
    )
    assert drawn == expected
    for copy in events[-1]["copies"]:
        size = copy["stop"] - copy["start"]
        whole = TEXT + drawn
        assert whole[copy["start"] : copy["stop"]] == TEXT[copy["source"] : copy["source"] + size]
    for strategy in ("bits", "beam", "particles", "lookahead"):
        spec = "gzip" if strategy == "lookahead" else "counts:2"
        events = client.stream("api/generate", TEXT, spec=spec, draw={"length": 4, "strategy": strategy})
        assert sum(len(event["bytes"]) for event in events if event["event"] == "bytes") == 4, (strategy, events)
    for draw in ({"length": 0}, {"length": 10**6}, {"strategy": "other"}, {"seed": -1}):
        assert client.stream("api/generate", TEXT, spec="counts:2", draw=draw)[-1]["event"] == "error"


def test_what_would_take_hours_is_refused_at_once(client: Client) -> None:
    started = time.monotonic()
    events = client.stream("api/costs", bytes(60_000), spec="ensemble:brotli,bz2", normalized=True)
    assert [event["event"] for event in events] == ["begin", "limit"]
    assert "the limit is" in events[1]["message"]
    status, answer = client.post("api/coder", {"spec": "lookahead:brotli?horizon=64&width=256", "text": "YWJj" * 9000})
    assert (status, "the limit is" in answer["error"]) == (200, True)
    assert time.monotonic() - started < 20
    last = list(Desk(Budget(work=0.001)).costs("gzip", TEXT))[-1]
    assert (last["event"], re.search(r"max.work.\d+", last["message"]) is not None) == ("limit", True)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take everything for slow."""
    monkeypatch.setattr("gencomp.play.desk._SLOW", 0.0)
    monkeypatch.setattr("gencomp.play.desk._TOLD", 0.0)


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize(("spec", "normalized"), [("bz2", False), ("zstd?level=3", False), ("gzip", True)])
def test_what_is_slow_begins_at_the_caret(client: Client, spec: str, normalized: bool) -> None:
    text = TEXT * 5
    events = client.stream("api/costs", text, spec=spec, position=200, normalized=normalized)
    pieces = [event for event in events if event["event"] == "costs"]
    assert pieces[0]["start"] == 0
    assert pieces[1]["start"] == 200 - 24
    whole = np.full(len(text), np.nan)
    for piece in pieces:
        place = slice(piece["start"], piece["start"] + len(piece["costs"]))
        known = ~np.isnan(whole[place])
        assert whole[place][known] == pytest.approx(np.array(piece["costs"])[known])  # the same, if it comes twice
        whole[place] = piece["costs"]
    assert whole == pytest.approx(gencomp.costs(spec, text, normalized=normalized), abs=1e-3)
    left = [event["seconds"] for event in events if event["event"] == "left"]
    assert left
    assert all(seconds >= 0 for seconds in left)
    assert events[-1]["event"] == "end"
    again = client.stream("api/costs", text, spec=spec, position=200, normalized=normalized)
    assert [event["event"] for event in again] == ["begin", "costs", "end"]  # all is known


@pytest.mark.usefixtures("slow")
def test_what_is_over_the_limit_is_priced_around_the_caret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gencomp.play.desk.costs_cost", lambda *_, **__: Cost(work=50.0))  # a piece of 64 bytes takes 5
    desk = Desk(Budget(work=10.0))
    monkeypatch.setattr("gencomp.play.desk.Pace.left", 11.0)
    events = list(desk.costs("bz2", TEXT * 10, caret=500))
    pieces = [event for event in events if event["event"] == "costs"]
    assert pieces[1]["start"] == 500 - 24
    assert events[-1]["event"] == "limit"
    assert "may take 11 seconds of one core, the limit is 10 seconds" in events[-1]["message"]
    monkeypatch.setattr("gencomp.play.desk.Pace.left", 9.0)
    assert list(desk.costs("bz2", TEXT * 10, caret=500))[-1]["event"] == "end"


def test_how_long_the_rest_takes() -> None:
    even = Pace(0, 1000, grows=False)
    assert even.left == math.inf
    for place in range(100, 500, 100):
        even.add(place, place / 50)
    assert even.left == pytest.approx(12.0)
    growing = Pace(0, 1000, grows=True)
    for place in range(1, 501):
        growing.add(place, place**2 / 10_000)
    assert growing.left == pytest.approx(75.0, rel=0.02)
    level = Pace(0, 1000, grows=True)  # a codec that keeps its work
    for place in range(1, 501):
        level.add(place, place / 10)
    assert level.left == pytest.approx(50.0, rel=0.02)
    later = Pace(400, 1000, grows=True)  # nothing tells how it grows but the place that was tried
    later.add(500, 10.0)
    later.tried(1000, 0.3)
    assert later.left == pytest.approx(0.1 * 500 + 0.2 * 500 / 2, rel=0.02)


def test_a_model_that_fails_says_so_and_others_go_on(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from gencomp.predictors.counts import CountsState

    def charge(state: object, data: bytes) -> None:
        raise RuntimeError("the weights <b>melted</b>")

    monkeypatch.setattr(CountsState, "charge", charge)
    events = client.stream("api/costs", TEXT + b"?", spec="counts:3")
    assert events[-1] == {"event": "error", "message": "internal error: RuntimeError: the weights <b>melted</b>"}
    assert client.stream("api/costs", TEXT, spec="gzip")[-1]["event"] == "end"


def test_a_new_question_cancels_the_old_one() -> None:
    jobs, stopped, begun = Jobs(Compilations()), threading.Event(), threading.Event()

    def endless() -> Iterator[dict[str, Any]]:
        try:
            while True:
                yield {"event": "piece"}
                begun.set()
                time.sleep(0.001)
        finally:
            stopped.set()

    first = jobs.run("page", "slot", endless)
    assert next(first) == {"event": "piece"}
    assert begun.wait(5)
    other = jobs.run("page", "another slot", lambda: iter([{"event": "end"}]))
    assert list(other) == [{"event": "end"}]
    assert not stopped.is_set()
    assert list(jobs.run("page", "slot", lambda: iter([{"event": "end"}]))) == [{"event": "end"}]
    assert stopped.wait(5)
    assert list(first)[-1]["event"] in ("piece", "cancelled")
    assert jobs.close(5)


def test_a_request_that_was_overtaken_does_not_cancel_the_later_one() -> None:
    jobs, go = Jobs(Compilations()), threading.Event()

    def waiting() -> Iterator[dict[str, Any]]:
        yield {"event": "begin"}
        go.wait(10)
        yield {"event": "end"}

    later = jobs.run("page", "slot", waiting, 8)
    assert next(later) == {"event": "begin"}
    assert list(jobs.run("page", "slot", lambda: iter([{"event": "end"}]), 7)) == [{"event": "cancelled"}]
    go.set()
    assert list(later) == [{"event": "end"}]
    assert jobs.close(5)


def test_who_stops_listening_stops_the_work() -> None:
    jobs, stopped = Jobs(Compilations()), threading.Event()

    def endless() -> Iterator[dict[str, Any]]:
        try:
            while True:
                yield {"event": "piece"}
        finally:
            stopped.set()

    events = jobs.run("page", "slot", endless)
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert stopped.wait(5)
    assert jobs.close(5)


def test_silence_is_broken_by_what_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gencomp.play.jobs.BEAT", 0.05)
    compilations, go = Compilations(), threading.Event()

    def slow() -> Iterator[dict[str, Any]]:
        compilations.told("first", False)
        compilations.told("first", True)
        compilations.told("second", False)
        go.wait(10)
        compilations.told("second", True)
        yield {"event": "end"}

    jobs = Jobs(compilations)
    events = jobs.run("page", "slot", slow)
    beat = next(event for event in events if event.get("compiled") == 1)
    assert (beat["event"], beat["compiling"]) == ("working", "second")
    go.set()
    assert list(events)[-1] == {"event": "end"}
    assert compilations.current is None
    assert jobs.close(5)


def test_kernels_tell_when_they_are_compiled() -> None:
    from numba import njit

    from gencomp.compiled import just_in_time, watching

    told: list[tuple[str, bool]] = []

    def _doubled(value: int) -> int:
        return 2 * value

    assert just_in_time  # it hears of what numba compiles
    compiled = njit(_doubled)  # kept nowhere, so that it is compiled each time
    with watching(lambda name, done: told.append((name, done))):
        assert compiled(4) == 8
        assert compiled(5) == 10
    assert compiled(2.5) == 5
    assert told == [("doubled", False), ("doubled", True)]


def test_pieces_that_come_quickly_are_put_together() -> None:
    events = [{"event": "costs", "start": at, "costs": [1.0]} for at in range(100)]
    whole = list(merged(iter([{"event": "begin"}, *events, {"event": "end"}])))
    assert len(whole) < 20
    assert costs_of(whole) == [1.0] * 100
    assert [whole[0]["event"], whole[-1]["event"]] == ["begin", "end"]


def test_pieces_of_two_places_stay_two() -> None:
    events = [{"event": "costs", "start": at, "costs": [float(at)]} for at in (0, 1, 7, 8, 2)]
    whole = list(merged(iter(events)))
    assert [(event["start"], event["costs"]) for event in whole] == [(0, [0.0, 1.0]), (7, [7.0, 8.0]), (2, [2.0])]


def test_failures_are_one_line() -> None:
    assert failure(RequestError("the text is not base64")) == "the text is not base64"
    assert failure(MemoryError()).startswith("out of memory")
    assert failure(KeyError("x")) == "internal error: KeyError: 'x'"


def test_common_beginnings() -> None:
    assert [common(b"", b"a"), common(b"ab", b"ab"), common(b"abc", b"abd"), common(b"ab", b"abc")] == [0, 2, 2, 2]


def test_examples_are_texts_that_fit() -> None:
    import base64

    for example in EXAMPLES:
        assert 20 < len(base64.b64decode(example["text"])) <= 1000
        assert example["note"]


def test_crowds_are_turned_away_and_then_all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 8)
    with serving() as server:
        client = Client(server)
        crowd = [socket.create_connection((HOST, server.port)) for _ in range(40)]
        turned_away = 0
        for visitor in crowd[8:]:
            visitor.settimeout(5)
            turned_away += visitor.recv(12).endswith(b"503")
        assert turned_away >= 20
        for visitor in crowd:
            visitor.close()
        deadline = time.monotonic() + 10
        while True:
            try:
                if client.get("api/start")[0] == 200:
                    break
            except (OSError, http.client.HTTPException):
                pass
            assert time.monotonic() < deadline
        for _ in range(300):
            assert client.get("nothing")[0] == 404


def test_a_page_that_went_away_leaves_no_work_behind(book: bytes) -> None:
    with serving() as server:
        text = json.dumps({"page": "p", "slot": "s", "spec": "bz2", "text": "QUJD" * 3000})
        with socket.create_connection((HOST, server.port)) as visitor:
            visitor.sendall(
                f"POST /{server.token}/api/costs HTTP/1.1\r\nHost: {HOST}:{server.port}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()
            )
            assert visitor.recv(15) == b"HTTP/1.1 200 OK"
        deadline = time.monotonic() + 20
        while any("gencomp-play-s" in thread.name for thread in threading.enumerate()):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_taken_port_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        with pytest.raises(GencompError, match="port=0 finds a free one"):
            Server(Desk(), {}, taken.getsockname()[1])


@pytest.fixture
def started() -> Iterator[Any]:
    processes: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> tuple[subprocess.Popen[bytes], str]:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "gencomp", "play", "--no-browser", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            bufsize=0,  # else a line that came with the first one is lost to communicate()
            # tests that a shell runs in its background ignore Ctrl-C, and hand that on
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        return process, line.rpartition(" ")[2].strip()

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def fetch(url: str, path: str) -> Any:
    port = int(url.split(":")[2].partition("/")[0])
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    connection.request("GET", "/" + url.split("/", 3)[3] + path)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def test_the_command_serves_a_file_until_ctrl_c(started: Any, tmp_path: Path) -> None:
    big = tmp_path / "<b>1 GB<b>.txt"
    with big.open("wb") as file:
        file.write(TEXT)
        file.truncate(1 << 30)
    process, url = started(str(big), "-m", "counts:1")
    start = fetch(url, "api/start")
    assert (start["name"], start["cut"], start["models"]) == ("<b>1 GB<b>.txt", True, ["counts:1"])
    assert len(start["text"]) == -(-MAX_TEXT // 3) * 4
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=20)
    assert process.returncode == 0
    assert b"Ctrl-C ends it" in out
    assert error.count(b"\n") == 1
    assert b"the page takes 65,536 bytes" in error
    port = url.split(":")[2].partition("/")[0]
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((HOST, int(port))).close()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nothing-here"], 1, "No such file"),
        (["."], 2, "is a folder"),
        (["-m", "gzipp"], 2, "did you mean gzip"),
        (["--port", "70000"], 2, "--port"),
    ],
)
def test_a_wrong_command_line_is_one_line(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["play", "--no-browser", *arguments]) == code
    told = capsys.readouterr().err
    assert (words in told, told.count("\n")) == (True, 1), told
