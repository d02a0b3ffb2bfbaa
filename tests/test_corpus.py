"""The builder of the training corpus: what it dresses, invents, and keeps out."""

import gzip
import io
import json
import random
import re
import struct
import sys
import tarfile
import tomllib
import xml.etree.ElementTree as ElementTree
from email import message_from_bytes, policy
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.conftest import ROOT

FOLDER = ROOT / "examples" / "corpus"
NAMES = ("overlap", "fetch", "dress", "letters", "build")


@pytest.fixture(scope="module")
def corpus() -> dict[str, ModuleType]:
    """Return the builder's modules; they are scripts beside one another, not a package."""
    sys.path.insert(0, str(FOLDER))
    try:
        return {name: __import__(name) for name in NAMES}
    finally:
        sys.path.remove(str(FOLDER))


SUBJECTS = ["river", "city", "battle", "theory", "language", "emperor", "bridge", "island", "protein", "harbour"]


def article(number: int) -> tuple[int, str, str]:
    """Return (id, title, text) of a made-up article in WikiExtractor's manner."""
    pick = random.Random(number)
    title = f"{pick.choice(SUBJECTS).capitalize()} of Alda {number}"
    lines = [title, ""]
    for section in range(6):
        if section:
            lines.append(f"Section {section} matters.")
        lines += [
            f'The {title} is a {pick.choice(SUBJECTS)} of "Old & New" Alda – built in {1500 + number} by John Miller on'
            f" May {section + 1}, 18{pick.randrange(10, 99)}. It lies 5 km from River of Alda 3 <b>is</b> (; ) high."
            f" The {pick.choice(SUBJECTS)} was known to Mary Jones in the 19th century, as formula_1 shows for CO2."
            for _ in range(3)
        ]
    return number, title, "\n".join(lines)


def envelopes(pages: list[tuple[int, str, str]]) -> bytes:
    return "".join(
        f'<doc id="{number}" url="u" title="{title}">\n{text}\n</doc>\n' for number, title, text in pages
    ).encode()


# -- dressing ---------------------------------------------------------------------------------------------------------


def test_dressing_repeats_itself_by_its_seed_alone(corpus: dict[str, ModuleType]) -> None:
    dress = corpus["dress"]
    pages = dress.read_pages(envelopes([article(number) for number in range(10)]))
    assert len(pages) == 10
    first = dress.dress(pages, 10**9, 18)
    assert first == dress.dress(pages, 10**9, 18)
    assert first != dress.dress(pages, 10**9, 19)


def test_dressed_pages_are_an_export_that_parses(corpus: dict[str, ModuleType]) -> None:
    dress = corpus["dress"]
    dressed = dress.dress([article(number) for number in range(24)], 10**9, 3).decode()
    root = ElementTree.fromstring(f"<mediawiki>{dressed}</mediawiki>")
    titles = {page.findtext("title") for page in root}
    assert {article(number)[1] for number in range(24)} <= titles  # every article, redirects between them
    texts = [page.findtext("revision/text") or "" for page in root]
    assert all(page.findtext("revision/timestamp") for page in root)
    assert sum(text.lower().startswith("#redirect") for text in texts) > 5
    everything = "\n".join(texts)
    for mark in ("[[", "'''", "==", "[[Category:", "<math>", "<sub>2</sub>", "* ", "http://", "{{"):
        assert mark in everything, mark
    assert 'xml:space="preserve"' in dressed
    assert "&quot;" in dressed
    assert dress.BOLD_ON not in dressed  # the marks of bold text are replaced
    assert everything.count("[[") == everything.count("]]")


def test_dressing_stops_after_its_limit_at_the_end_of_a_page(corpus: dict[str, ModuleType]) -> None:
    dressed = corpus["dress"].dress([article(number) for number in range(30)], 30_000, 5)
    assert 30_000 <= len(dressed) < 60_000
    assert dressed.endswith(b"  </page>\n")


def test_letters_of_a_title_in_other_scripts(corpus: dict[str, ModuleType]) -> None:
    dress = corpus["dress"]
    dice = dress.Dice(1)
    assert dress.transliterated("Berlin", "ru", dice) == "Берлин"
    assert dress.transliterated("Kanada", "ja", dice) == "カナダ"
    assert all(0xAC00 <= ord(letter) < 0xAC00 + 11172 for letter in dress.transliterated("Berlin", "ko", dice))


def test_dice_are_fair_enough(corpus: dict[str, ModuleType]) -> None:
    dice = corpus["dress"].Dice(7)
    assert {dice.between(3, 5) for _ in range(200)} == {3, 4, 5}
    assert sum(dice.chance(0.25) for _ in range(4000)) == pytest.approx(1000, abs=120)
    assert sum(dice.few(2.0) for _ in range(4000)) == pytest.approx(8000, abs=700)


# -- made-up letters and logs ------------------------------------------------------------------------------------------


def test_letters_parse_as_mail_and_quote_what_they_are_given(corpus: dict[str, ModuleType]) -> None:
    letters = corpus["letters"]
    for tongue in letters.QUOTING:
        writer = letters.Writer(2)
        mail = writer.letter(tongue, lambda: "Genau dieser Absatz steht im Brief.\nUnd er hat zwei Zeilen.")
        assert mail == letters.Writer(2).letter(
            tongue, lambda: "Genau dieser Absatz steht im Brief.\nUnd er hat zwei Zeilen."
        )
        message = message_from_bytes(mail.encode(), policy=policy.compat32)
        assert not message.defects
        assert {"from", "to", "subject", "date", "message-id", "mime-version"} <= {name.lower() for name in message}
        assert "Genau dieser Absatz" in str(message.get_payload())


def test_the_clock_of_logs_is_the_calendar(corpus: dict[str, ModuleType]) -> None:
    writer = corpus["letters"].Writer(0)
    writer.clock = 951_782_400  # 29 February 2000, midnight, a Tuesday
    assert writer.now() == (2000, 2, 29, 0, 0, 0, "Tue")
    writer.clock = 1_735_689_599
    assert writer.now() == (2024, 12, 31, 23, 59, 59, "Tue")


def test_logs_have_about_the_size_that_was_asked_for(corpus: dict[str, ModuleType]) -> None:
    writer = corpus["letters"].Writer(4)
    logs = [writer.log(3000) for _ in range(60)]
    assert all(3000 <= len(log) < 6000 and log.endswith("\n") for log in logs)
    assert sum('" 200 ' in log for log in logs) > 3
    assert sum("sshd[" in log for log in logs) > 1


# -- overlap ----------------------------------------------------------------------------------------------------------


def noise(seed: int, size: int) -> bytes:
    return np.random.default_rng(seed).integers(32, 127, size, dtype=np.uint8).tobytes()


def slow_hash(window: bytes) -> int:
    """The hash of one window, by the definition in overlap.py."""
    value = 0
    for byte in window:
        value = (value * 0x9E3779B97F4A7C15 + byte + 1) % (1 << 64)
    value ^= value >> 32
    value = value * 0xD6E8FEB86659FD93 % (1 << 64)
    return value ^ value >> 29


def test_window_hashes_are_those_of_their_definition(corpus: dict[str, ModuleType]) -> None:
    overlap = corpus["overlap"]
    data = noise(1, 200)
    assert overlap.window_hashes(data).tolist() == [slow_hash(data[at : at + 48]) for at in range(200 - 47)]
    assert len(overlap.window_hashes(data[:47])) == 0


@pytest.mark.parametrize("offset", [0, 1, 37, 64, 1000])
def test_a_copied_passage_is_found_at_any_offset(corpus: dict[str, ModuleType], offset: int) -> None:
    overlap = corpus["overlap"]
    passage = noise(2, 4000)
    shingles = overlap.Shingles([noise(3, 500) + passage + noise(4, 77)])
    hashes = overlap.sampled(noise(5, offset) + passage + noise(6, 300))
    assert shingles.common(hashes) == pytest.approx((4000 - 47) / overlap.RATE, rel=0.25)
    assert shingles.common(overlap.sampled(noise(7, 100_000))) == 0


def test_pieces_lose_no_window(corpus: dict[str, ModuleType]) -> None:
    overlap = corpus["overlap"]
    data = noise(8, 10_000)
    whole, cut = overlap.Shingles([data]), overlap.Shingles([data], piece=777)
    assert np.array_equal(whole.hashes, cut.hashes)


def test_runs_of_one_byte_are_no_overlap(corpus: dict[str, ModuleType]) -> None:
    overlap = corpus["overlap"]
    for byte in range(256):  # whichever of these runs would be sampled
        assert len(overlap.sampled(bytes([byte]) * 500)) == 0


def test_seen_counts_what_was_added(corpus: dict[str, ModuleType]) -> None:
    overlap = corpus["overlap"]
    seen, hashes = overlap.Seen(), overlap.sampled(noise(9, 50_000))
    assert seen.common(hashes) == 0
    seen.add(hashes[::2])
    assert len(hashes[::2]) <= seen.common(hashes) <= len(hashes[::2]) + 2
    assert seen.common(hashes[::2]) == len(hashes[::2])


def test_the_keeper_keeps_tests_held_out_text_and_copies_out(corpus: dict[str, ModuleType]) -> None:
    build, overlap = corpus["build"], corpus["overlap"]
    source = build.Source("pypi:some", "MIT", "code", 10**6, ("*",))
    keeper = build.Keeper(overlap.Shingles([noise(10, 30_000)]))

    def kept(data: bytes, train: bool = True) -> bool:
        return keeper.keep(build.Document(source, f"file {len(keeper.report)}", data), train)

    assert kept(noise(11, 9000), train=False)
    assert kept(noise(12, 9000))
    assert not kept(noise(12, 9000))
    assert not kept(noise(12, 7000) + noise(13, 3000))
    assert kept(noise(12, 3000) + noise(14, 7000))
    assert not kept(noise(11, 3000) + noise(15, 6000))
    assert not kept(noise(16, 5000) + noise(10, 2000) + noise(17, 5000))
    assert kept(noise(18, 50_000) + noise(10, 60) + noise(19, 50_000))  # a trace: a shared heading, say
    assert [entry["why"] for entry in keeper.report] == ["same content", "near copy", "held out", "test sets"]


# -- choosing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "kind", "expected"),
    [
        (b"int main(void) { return 0; }\n" * 3, "code", "small"),
        (b"words and words\n" * 30_000, "code", "large"),
        (b"text\0text" * 100, "data", "binary"),
        (b"var a=1;" * 400, "code", "minified"),
        (b"# DO NOT EDIT this file\n" + b"".join(b"x%d = %d\n" % (n, n * n) for n in range(300)), "code", "generated"),
        (b"a\n" * 3000, "data", "repetitive"),
        (b"\n".join(noise(n, 70) for n in range(60)), "data", "dense"),
        ("Привет, мир. Это русский текст. ".encode("koi8-r") * 20, "languages", "not UTF-8"),
        (b"".join(b"print(%d)  # line %d\n" % (n, n * 7) for n in range(50)), "code", ""),
        ("Ein Absatz über Bücher, die schön zu lesen sind.\n".encode() * 4, "languages", ""),
        (b"caf\xe9 at the corner, number %d\n" % 7 * 20, "data", "not UTF-8"),
        (b"A name of Western letters, Andr\xe9, in a long file of plain words.\n" * 3, "data", ""),
    ],
)  # fmt: skip
def test_faults(corpus: dict[str, ModuleType], data: bytes, kind: str, expected: str) -> None:
    assert corpus["build"].fault(data, kind) == expected


def test_html_becomes_running_text(corpus: dict[str, ModuleType]) -> None:
    head = b"<html><head><title>no</title></head><body><nav>menu</nav><h1>Head</h1>"
    assert (
        corpus["build"].html_text(head + b"<p>One\n two &amp; three.</p><pre>a\n  b</pre></body></html>")
        == b"Head\n\nOne two & three.\n\na\n  b\n"
    )


def mo_file(pairs: list[tuple[str, str]]) -> bytes:
    """Return a little-endian .mo catalogue."""
    strings = [text.encode() for pair in pairs for text in pair]
    start = 28 + 8 * len(strings)
    table, body = {}, b""
    for number, text in enumerate(strings):
        table[number] = struct.pack("<II", len(text), start + len(body))
        body += text + b"\0"
    count = len(pairs)
    head = struct.pack("<7I", 0x950412DE, 0, count, 28, 28 + 8 * count, 0, 0)
    tables = [b"".join(table[number] for number in range(first, len(strings), 2)) for first in (0, 1)]
    return head + b"".join(tables) + body


def test_catalogues_become_po_files_and_prose(corpus: dict[str, ModuleType]) -> None:
    build = corpus["build"]
    long = "Ein langer Satz, der aus einer Geschichte stammt und länger als neunzig Bytes sein soll, was er ist."
    data = mo_file(
        [("", "Language: de\n"), ("file\0files", "Datei\0Dateien"), ('menu\x04Open "it"', "Öffnen"), ("A story", long)]
    )
    po = build.po_text(data).decode()
    assert 'msgid ""\nmsgstr "Language: de\\n"\n' in po
    assert 'msgid "file"\nmsgid_plural "files"\nmsgstr[0] "Datei"\nmsgstr[1] "Dateien"\n' in po
    assert 'msgctxt "menu"\nmsgid "Open \\"it\\""\nmsgstr "Öffnen"\n' in po
    assert build.prose_text(data).decode() == long + "\n"


def test_attachments_are_cut_and_comments_of_logs_go(corpus: dict[str, ModuleType]) -> None:
    build = corpus["build"]
    mail = b"Subject: x\n\nwords\n" + (b"QUJD" * 19 + b"\n") * 50 + b"QQ==\n\nafter\n"
    assert build.short_mail(mail) == b"Subject: x\n\nwords\n" + (b"QUJD" * 19 + b"\n") * 6 + b"\nafter\n"
    assert build.bare_log(b'# failJSON: {"a": 1}\nJun 1 line\n\n# x\nJun 2 line\n') == b"Jun 1 line\n\nJun 2 line\n"


def test_lines_that_pages_share_are_their_frame(corpus: dict[str, ModuleType]) -> None:
    build = corpus["build"]
    source = build.Source("debian:x", "MIT", "languages", 10**6, ("*",), transform="text")
    pages = [
        build.Document(source, str(n), b"Menu\n\nNext page\n\n" + noise(30 + n, 300).replace(b"\n", b" "))
        for n in range(10)
    ]
    assert [page.data for page in build.without_frames(pages)] == [page.data.split(b"\n\n", 2)[2] for page in pages]


def deb(files: dict[str, bytes]) -> bytes:
    """Return a Debian package of these files."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as tar:
        for name, data in files.items():
            item = tarfile.TarInfo(name)
            item.size = len(data)
            tar.addfile(item, io.BytesIO(data))
    raw = b"!<arch>\n"
    for name, data in (("debian-binary", b"2.0\n"), ("control.tar.gz", b"odd"), ("data.tar.gz", held.getvalue())):
        raw += f"{name:16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return raw


def test_files_of_a_package_come_unpacked(corpus: dict[str, ModuleType]) -> None:
    fetch = corpus["fetch"]
    raw = deb({"./usr/a.txt": b"one", "./usr/b.txt.gz": gzip.compress(b"two"), "./usr/c.py": b"three"})
    found = dict(fetch.members("x_1_all.deb", raw, lambda path: path.endswith(".txt")))
    assert found == {"usr/a.txt": b"one", "usr/b.txt": b"two"}
    with pytest.raises(fetch.FetchError, match="no ar magic"):
        list(fetch.members("x.deb", b"no package", lambda path: True))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("libfmt-dev_9.1.0+ds1-2_amd64.deb", ("libfmt-dev", "9.1.0+ds1-2")),
        ("git-doc_1%3a2.39.5-0_all.deb", ("git-doc", "1:2.39.5-0")),
        ("email_reply_parser-0.5.12.tar.gz", ("email-reply-parser", "0.5.12")),
        ("Some.Thing-4.1-py3-none-any.whl", ("some-thing", "4.1")),
    ],
)
def test_names_of_archives(corpus: dict[str, ModuleType], name: str, expected: tuple[str, str]) -> None:
    assert corpus["fetch"].file_name_and_version(Path(name)) == expected


def test_what_cannot_be_fetched_is_said(
    corpus: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = corpus["fetch"]
    asked = []

    def client(command: list[str], folder: Path) -> str:
        asked.append(command[-2:])
        if "there=1" in command and "away=1" not in command:
            (folder / "there_1_all.deb").write_bytes(deb({}))
            return ""
        return "E: Unable to locate package away"

    monkeypatch.setattr(fetch, "_run", client)
    there, away = fetch.Request("debian:there", "deb", "1"), fetch.Request("debian:away", "deb", "1")
    assert fetch.fetch_all([there, away], tmp_path) == ["debian:away deb 1: E: Unable to locate package away"]
    assert there.lies_in(tmp_path) is not None
    assert away.lies_in(tmp_path) is None
    assert fetch.Request("debian:there", "deb", "2").lies_in(tmp_path) is None
    asked.clear()
    assert fetch.fetch_all([there], tmp_path) == []
    assert not asked  # what lies in the cache is not asked for again


# -- the list of sources -----------------------------------------------------------------------------------------------


def test_the_list_of_sources_is_sound_and_pinned(corpus: dict[str, ModuleType]) -> None:
    build = corpus["build"]
    sources = [build.Source.of(table) for table in tomllib.loads((FOLDER / "sources.toml").read_text())["source"]]
    lock = json.loads((FOLDER / "lock.json").read_text())
    splits: dict[str, set[str]] = {}
    for source in sources:
        assert source.licence
        assert source.files
        assert source.limit > 0
        assert source.split in ("train", "valid", "small")
        assert source.transform in build.TRANSFORMS
        assert source.kind in build.KINDS or source.split == "small"
        splits.setdefault(source.package, set()).add(source.split)
        if source.package == "debian:*":
            continue
        for version in {source.version, source.before or source.version}:
            pinned = lock[build.request_of(source, version).key()]
            assert pinned["version"]
            assert re.fullmatch("[0-9a-f]{64}", pinned["sha256"])
    assert all(len(found) == 1 for found in splits.values()), "a package is held out and trained on"
    assert not any("wikipedia" in package or "gensim" in package for package in splits)


def test_shares_of_tests_in_training_files(corpus: dict[str, ModuleType], tmp_path: Path) -> None:
    build, overlap = corpus["build"], corpus["overlap"]
    named = {"one": noise(40, 20_000), "two": noise(41, 20_000)}
    (tmp_path / "a.bin").write_bytes(noise(42, 999) + named["one"][:10_000] + noise(43, 5000))
    (tmp_path / "b.bin").write_bytes(noise(44, 5000))
    hashes = {name: overlap.Shingles([data]).hashes for name, data in named.items()}
    shares = build.overlaps(
        overlap.Shingles.of(list(hashes.values())), hashes, [tmp_path / "a.bin", tmp_path / "b.bin"]
    )
    assert shares["a.bin"] == {"one": pytest.approx(0.5, abs=0.06)}
    assert shares["b.bin"] == {}


def test_the_table_adds_up_a_package(corpus: dict[str, ModuleType]) -> None:
    entry = {
        "version": "1",
        "licence": "MIT",
        "sha256": "ab" * 32,
        "split": "train",
        "kind": "code",
        "package": "pypi:x",
    }
    rows = corpus["build"].table(
        [
            {**entry, "files": 2, "bytes": 1000},
            {**entry, "files": 3, "bytes": 500},
            {**entry, "package": "pypi:y", "files": 0, "bytes": 0},
        ]
    )
    assert rows.splitlines()[2:] == ["| train | code | pypi:x | 1 | MIT | 5 | 1,500 | `abababababababab` |"]


def test_a_mail_ends_before_its_html(corpus: dict[str, ModuleType]) -> None:
    mail = b"From: a\n\n--x\nContent-Type: text/plain\n\nwords\n--x\nContent-Type: text/html\n\n<b>\n--x--\n"
    assert corpus["build"].plain_mail(mail) == b"From: a\n\n--x\nContent-Type: text/plain\n\nwords\n"
