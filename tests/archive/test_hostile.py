"""Archives from anybody: what they may load, open and take. Each test names the attack."""

import dataclasses
import io
import itertools
import os
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gencomp
from gencomp import registry
from gencomp.archive import models, reader
from gencomp.archive.reader import read_archive, summarize_members
from gencomp.archive.writer import write_archive
from gencomp.budget import DEFAULT_OUTPUT, Budget, Cost, Meter
from gencomp.coding import container
from gencomp.coding.container import BlockHeader, BlockType, Trailer, pack_block, pack_header, pack_trailer
from gencomp.equivalence.adapt import as_predictor
from gencomp.equivalence.capabilities import block_cost, encode_block, fingerprint_cost
from gencomp.errors import BudgetError, GencompError, ModelMismatchError, OutputLimitError, SpecError
from gencomp.predictors.mix.predictor import Mix
from gencomp.predictors.recurrent.predictor import Recurrent
from gencomp.registry import Entry, load, tree_of
from tests.archive.test_archive import forged


def named(spec: str, **more: object) -> dict[str, Any]:
    """Return a header's metadata that names a model, whose canary is not known."""
    return {"model": {"spec": spec, "numeric": "environment", "environment": {}, "canary": "0" * 16, **more}}


def claiming(spec: str, size: int, payload: bytes = b"", blocks: int = 1, content: bytes = b"") -> bytes:
    """Return an archive whose small blocks claim to hold ``size`` bytes each by a model."""
    payload = payload or b"\x55" * (size // container.MAX_EXPANSION + 2)
    archive, key = pack_header(named(spec), container.MAX_BLOCK_SIZE)
    for number in range(blocks):
        header = BlockHeader(number, BlockType.MODEL, False, size, len(payload))
        # blocks like the one before would cost nothing
        archive += pack_block(key, header, payload[:-2] + number.to_bytes(2, "little"), content)
    return archive + pack_trailer(key, Trailer(size * blocks, len(archive) + 64, blocks, bytes(32)))


# another package's code


FOREIGN = [
    "stranger",
    "stranger:x?y=z",
    "ensemble:counts:1,stranger",
    "ensemble?members=stranger",
    "ensemble:[ensemble:[counts:1,stranger]]",
    "lookahead:stranger",
    "lookahead:[stranger+x=1]",
    "mix?expert=stranger",
    "mix?expert=ensemble:stranger",
    "mix?expert=ensemble:counts:1,stranger",
    "mix?expert=ensemble:[counts:1,stranger]",
    "mix?expert=mix+expert=stranger",
    "mix?expert=mix%3Fexpert%3Dstranger",
    "mix?expert=mix%3Fexpert%3Densemble%3Astranger",
    "ensemble:mix+expert=[ensemble:stranger]",
    "mix?level=3&expert=lookahead:stranger",
]


@pytest.mark.parametrize("spec", FOREIGN)
@pytest.mark.parametrize("distribution", ["evil", "gencomp"])  # what it calls itself is no matter
def test_another_packages_model_is_not_imported(
    spec: str, distribution: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "evil_module.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    entry = Entry("stranger", "predictor", "evil_module:Evil", "from evil", None, distribution)
    monkeypatch.setitem(registry._ENTRIES, "stranger", entry)
    with pytest.raises(ModelMismatchError, match=f"of the package {distribution}; if you trust it, say model="):
        gencomp.decompress(forged(named(spec), [(BlockType.STORED, b"x", b"x")]))
    assert "evil_module" not in sys.modules


def test_the_users_model_is_not_what_an_archive_makes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Naming one model allows that one, not what the archive names in its place."""
    entry = Entry("stranger", "predictor", "evil_module:Evil", "from evil", None, "evil")
    monkeypatch.setitem(registry._ENTRIES, "stranger", entry)
    for spec in FOREIGN:
        with pytest.raises(ModelMismatchError, match="made with model="):
            gencomp.decompress(forged(named(spec), [(BlockType.STORED, b"x", b"x")]), model="mix?expert=counts:1")
    assert "evil_module" not in sys.modules


def test_every_option_that_could_name_something_is_declared() -> None:
    """The gate sees what entries declare; an option of text that is not declared here would be a hole in it."""
    plain = {
        ("mix", "sample"),
        ("best", "sample"),
        ("mix", "prime"),
        ("ensemble", "windows"),
        ("ensemble", "mean"),
        ("ensemble", "weights"),
    }
    plain |= {(name, option) for name in ("transformer", "hf") for option in ("device", "dtype")}
    plain |= {("gguf", "device"), ("hf", "arithmetic"), ("brotli", "mode"), ("flac", "sample")}
    for entry in registry._BUILTIN:
        factory = registry.resolve(entry)
        fields = {field.name: str(field.type) for field in dataclasses.fields(factory) if field.init}
        declared = {*entry.lists, *entry.partners, *entry.files, *entry.folders}
        assert declared <= fields.keys(), entry
        assert entry.argument == getattr(factory, "spec_argument", None), entry
        for name, kind in fields.items():
            if not any(word in kind for word in ("int", "float", "bool")):
                assert name in declared or (entry.name, name) in plain, f"{entry.name}?{name}= may name something"


def test_every_model_knows_what_it_takes() -> None:
    for entry in registry._BUILTIN:
        if entry.name not in ("hf", "gguf"):  # they need a folder or a file
            model = as_predictor(entry.name)
            for size in (1, 100, 1 << 20):
                assert block_cost(model, size, size).memory > 0, entry.name
                assert block_cost(model, size, size).work > 0, entry.name
            assert fingerprint_cost(model).work > 0, entry.name


# models in models


def nested(depth: int, form: str) -> str:
    spec = "counts:1"
    for _ in range(depth):
        spec = form.format(spec.replace("?", "+"))
    return spec


@pytest.mark.parametrize("form", ["mix?expert=[{}]", "ensemble:[{}]", "lookahead:[{}]"])
def test_fifty_levels_are_refused_at_once(form: str) -> None:
    for refused, error in ((lambda spec: load(spec), SpecError), (decompress_named, ModelMismatchError)):
        with pytest.raises(error, match="nested deeper than 8 levels"):
            refused(nested(50, form))


def decompress_named(spec: str) -> bytes:
    return gencomp.decompress(forged(named(spec), [(BlockType.STORED, b"x", b"x")]))


def test_five_hundred_models_are_the_most() -> None:
    members = ",".join(["counts:1"] * 200)
    with pytest.raises(SpecError, match="names more than 512 models"):
        tree_of(f"ensemble:[ensemble:[{members}]],[ensemble:[{members}]],[ensemble:[{members}]]")
    assert len(list(tree_of(f"ensemble:[ensemble:[{members}]],[ensemble:[{members}]]").walk())) == 403


def test_eight_levels_are_asked_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each level asks the one below once, not twice: 8 levels, not 2^8."""
    model = as_predictor(nested(8, "mix?expert=[{}]"))
    asked = []
    monkeypatch.setattr(Mix, "REVISION", property(lambda self: asked.append(1) or 4))
    revision = models.describe(model)["revision"]
    for _ in range(8):
        number, revision = revision
        assert number == 4
    assert isinstance(revision, int)
    assert len(asked) <= 16


# places on disk


PLACES = [
    "mix?state={}",
    "ensemble:counts:1,mix+state={}",
    "mix?expert=mix+state={}",
    "mix?expert=mix%3Fstate%3D{}",
    "transformer:{}",
    "ensemble:[transformer:{}],counts:1",
    "mix?expert=transformer:{}",
    "hf:{}",
    "gguf:{}",
    "mix?expert=gguf:{}",
    "mix?expert=hf:{}",
    "ensemble:hf:gpt2,counts:1",
    "transformer:../../weights",
]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a pipe, a folder and a saved state."""
    folder = tmp_path_factory.mktemp("places")
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    Mix(1).begin(b"the cat").save(folder / "file")
    return folder


@pytest.mark.parametrize("spec", PLACES)
@pytest.mark.parametrize("place", ["/dev/zero", "pipe", "folder", "file", "nothing"])
@pytest.mark.every(3)
def test_an_archive_opens_nothing_on_disk(spec: str, place: str, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def opened(*arguments: object) -> None:
        raise AssertionError(f"opened {arguments}")

    monkeypatch.setattr("gencomp.places.open_regular", opened)
    monkeypatch.setattr("gencomp.predictors.mix.saved.open_regular", opened)
    for name in (
        "causal.check_folder",
        "transformer.check_folder",
        "transformer.find_folder",
        "huggingface.find_folder",
        "gguf.read_gguf",
    ):
        monkeypatch.setattr(f"gencomp.predictors.language.{name}", opened)
    spec = spec.format(place if place.startswith("/") else places / place)
    with pytest.raises(ModelMismatchError, match=r"and it opens nothing on disk by itself; name it, .* as in model="):
        decompress_named(spec)


FORMS = ["mix?state={}", "ensemble:counts:1,mix+state={}", "mix:1?expert=mix+state={}"]


@pytest.mark.parametrize("form", [*FORMS, "rnn?state={}", "ensemble:[mix:1+expert=[rnn+state={}]],lookahead:gzip"])
@pytest.mark.every(5)
def test_where_a_file_was_is_no_part_of_an_archive(form: str, tmp_path: Path) -> None:
    """Its digest is: from two places, the same archive, however long the paths are."""
    there = tmp_path.joinpath(*["a folder with a long name" * 4] * 3)
    there.mkdir(parents=True)
    first, second = tmp_path / "first", there / "second"
    (Recurrent() if "rnn" in form else Mix(1)).begin(b"the cat sat").save(first)
    second.write_bytes(first.read_bytes())
    short, long = (models.describe(as_predictor(form.format(path))) for path in (first, second))
    assert short == long
    digest = first.read_bytes()[:8].hex()
    assert f"=digest-{digest}" in short["spec"]
    assert str(tmp_path) not in str(short)
    model = models.load_described(short, form.format(first))
    assert models.describe(model) == short
    older = short | {"spec": short["spec"].replace(f"digest-{digest}", "/where/it/was")}
    assert models.describe(models.load_described(older, form.format(first))) == short
    with pytest.raises(ModelMismatchError, match="made with the state '/where/it/was', and it opens nothing"):
        models.load_described(older)
    with pytest.raises(ModelMismatchError, match=f"made with the state of the digest {digest}, .*state=FILE"):
        models.load_described(short)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.every(2)
def test_the_user_names_a_place_wherever_it_is(form: str, tmp_path: Path) -> None:
    data = b"the cat sat on the mat; the dog sat on the log"
    first, moved, other = (tmp_path / name for name in ("first", "moved", "other"))
    Mix(1).begin(data).save(first)
    Mix(1).begin(data[::-1]).save(other)
    payload = encode_block(as_predictor(form.format(first)), data)
    archive = forged({"model": models.describe(as_predictor(form.format(first)))}, [(BlockType.MODEL, payload, data)])
    assert gencomp.decompress(archive, model=form.format(first)) == data
    first.rename(moved)
    assert gencomp.decompress(archive, model=form.format(moved)) == data
    with pytest.raises(ModelMismatchError, match=r"made with state [0-9a-f]{16}, found state [0-9a-f]{16} here"):
        gencomp.decompress(archive, model=form.format(other))
    with pytest.raises(ModelMismatchError, match="No such file"):
        gencomp.decompress(archive, model=form.format(first))
    with pytest.raises(ModelMismatchError, match="was made with model="):
        gencomp.decompress(archive, model="counts:1")


# memory and work, per product


HOSTILE = {
    "windows multiply": "ensemble:[ensemble:counts:6+windows=[4000,4001,4002]]?windows=4000,4001,4002",
    "members multiply": "ensemble:" + ",".join(["mix:9+memory=512"] * 200),
    "a canary of minutes": "lookahead:brotli?horizon=64&width=256&spans=256",
    "a canary of hours in windows": "ensemble:lookahead:[webp+effort=6+width=9999]?windows=4,5,6",
    "a slow search": "lzma?extreme=true",
    "lanes": "transformer?batch=4096&context=2048&stride=1",
    "an expert of hours": "mix?expert=ensemble:[lzma+extreme=true]+windows=[60000,60001]",
    "images": "webp?width=16383&effort=6",
    "memory that is never given back": "ppmd?memory=2047",
}


@pytest.fixture
def nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a canary or a block is begun."""

    def done(*arguments: object) -> None:
        raise AssertionError("it was begun")

    monkeypatch.setattr(models, "canary", done)
    monkeypatch.setattr(models, "fingerprint_of", done)
    monkeypatch.setattr(reader, "decode_block", done)


@pytest.mark.parametrize("spec", HOSTILE.values(), ids=HOSTILE)
def test_what_a_block_takes_is_known_before(spec: str, nothing_is_done: None) -> None:
    with pytest.raises(
        BudgetError, match=r"block 0 of 4,000 bytes by '.*the limit is .*; allow it with max_"
    ) as caught:
        gencomp.decompress(claiming(spec, 4000))
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("spec", ["mix:9", "counts:16"])
def test_claims_of_many_blocks_add_up(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them alone is within the limits."""
    content, begun = bytes(1 << 22), []
    monkeypatch.setattr(reader, "check_canary", lambda description, model: None)
    monkeypatch.setattr(reader, "decode_block", lambda model, payload, size: begun.append(size) or content)
    archive = claiming(spec, len(content), blocks=20, content=content)
    with pytest.raises(BudgetError, match=r"up to block \d+ of 4,194,304 bytes by .*, the limit is 6.7\d minutes"):
        gencomp.decompress(archive, threads=1)
    assert 1 <= len(begun) < 8


def test_limits_are_raised_and_lowered(book: bytes) -> None:
    archive = gencomp.compress(book[:3000], "counts:3")
    assert gencomp.decompress(archive, max_memory=1 << 20, max_work=1.0) == book[:3000]
    with pytest.raises(
        BudgetError, match=r"may take \d+ KB of memory, the limit is 100 KB; allow it with max_memory=1000000"
    ):
        gencomp.decompress(archive, max_memory=100_000)
    with pytest.raises(BudgetError, match=r"of one core, the limit is 0.01 seconds; allow it with max_work=1 "):
        gencomp.decompress(archive, max_work=0.01)
    hours = claiming("counts:16", container.MAX_BLOCK_SIZE)
    with pytest.raises(BudgetError):
        gencomp.decompress(hours)
    with pytest.raises(ModelMismatchError):
        gencomp.decompress(hours, max_memory=10**10, max_work=float("inf"))


def test_blocks_like_the_one_before_cost_nothing() -> None:
    archive = claiming("counts:0", 1 << 16, b"\x55" * 400, blocks=50)
    description = {"spec": "counts:0", "numeric": "integer", "revision": 1}
    work = block_cost(as_predictor("counts:0"), 1 << 16, 400).work
    archive, key = pack_header({"model": description}, 1 << 20)
    data = bytes(1 << 16)
    payload = encode_block(as_predictor("counts:0"), data)
    for number in range(50):
        archive += pack_block(key, BlockHeader(number, BlockType.MODEL, False, len(data), len(payload)), payload, data)
    with pytest.raises(GencompError, match="cut short"):
        read_archive(io.BytesIO(archive), lambda content: None, max_work=2 * work + 1.0)


def test_threads_share_the_memory(book: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = gencomp.compress(book[:4096], "counts:6", block_size=1024)
    side_by_side: list[int] = []

    def noted(function: Any, items: Any, threads: int) -> Iterator[Any]:
        side_by_side.append(threads)
        return map(function, items)

    monkeypatch.setattr(reader, "ordered_map", noted)
    block = 4 * 1024 + block_cost(as_predictor("counts:6"), 1024, 1024).memory
    for limit, threads in ((block, 1), (3 * block, 3), (100 * block, 8)):
        assert gencomp.decompress(archive, threads=8, max_memory=limit) == book[:4096]
        assert side_by_side[-1] == threads


def test_compressing_keeps_to_the_same_memory(book: bytes) -> None:
    """What is written by default can be read by default."""
    sink = io.BytesIO()
    with pytest.raises(BudgetError, match="block 0 of 16,777,216 bytes may take .* of memory"):
        write_archive(io.BytesIO(bytes(1 << 24)), sink, as_predictor("counts:16"), block_size=1 << 24)
    assert sink.getvalue() == b""
    with pytest.raises(BudgetError, match="the probe of the model may take"):
        gencomp.compress(b"x", "zstd", max_memory=100_000)
    with pytest.raises(BudgetError, match="max_work="):
        gencomp.compress(book[:3000], "gzip", max_work=1.0)
    assert len(gencomp.compress(book[:3000], "counts:2", max_memory=1 << 20, max_work=1.0)) < 2500


@pytest.mark.parametrize("strategy", ["beam", "particles"])
def test_wide_searches_are_refused_before_they_begin(strategy: Any) -> None:
    with pytest.raises(BudgetError, match=f"drawing 3 bytes after 7 by {strategy} of width 100,000,000 may take"):
        gencomp.sample("mix", prompt=b"the cat", length=3, strategy=strategy, width=10**8)
    with pytest.raises(BudgetError, match="drawing 9 bytes after 0 may take .* of one core"):
        gencomp.sample("lookahead:gzip", length=9, max_work=0.1)
    assert len(gencomp.sample("counts:1", prompt=b"the cat", length=3, strategy=strategy, width=20)) == 3


def test_a_budget_is_not_negative() -> None:
    for budget in ({"memory": -1}, {"work": -1.0}, {"work": float("nan")}):
        with pytest.raises(ValueError, match="limits must be at least 0"):
            Budget(**budget)  # type: ignore[arg-type]


def test_memory_that_is_kept_adds_up() -> None:
    meter = Meter(Budget(1000, None))
    meter.add(Cost(500, 0.0, kept=300), "the first", 0)
    meter.add(Cost(600, 0.0, kept=300), "the second", 0)
    with pytest.raises(BudgetError, match="the third may take 1,200 bytes"):
        meter.add(Cost(600), "the third", 0)
    both = Cost(500, 1.0, 300) + Cost(600, 2.0)
    assert (both.memory, both.work, both.kept) == (900, 3.0, 300)


# output


def test_ten_gigabytes_are_refused_before_the_first_byte() -> None:
    archive = claiming("counts:0", container.MAX_BLOCK_SIZE, blocks=640)
    assert len(archive) < 250_000
    written: list[bytes] = []
    with pytest.raises(
        OutputLimitError, match=r"10,737,418,240 bytes by its trailers, where 8,589,934,592 are allowed"
    ):
        read_archive(io.BytesIO(archive), written.append)
    assert written == []


class Pipe(io.RawIOBase):
    """A stream that cannot seek."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left = pieces, b""

    def read(self, count: int = -1) -> bytes:
        while len(self._left) < count and (piece := next(self._pieces, b"")):
            self._left += piece
        part, self._left = self._left[:count], self._left[count:]
        return part


def test_what_cannot_be_looked_at_before_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "DEFAULT_OUTPUT", 100_000)
    monkeypatch.setattr(reader, "OUTPUT_PER_BYTE", 1)
    archive = forged({"model": None}, [(BlockType.STORED, b"x" * 500, b"x" * 500)] * 300, block_size=1024)
    assert len(gencomp.decompress(archive)) == 150_000  # more than the default, and paid for by the archive's own bytes
    monkeypatch.setattr(reader, "OUTPUT_PER_BYTE", 0)
    written: list[bytes] = []
    with pytest.raises(OutputLimitError, match="100,500 bytes or more, where 100,000 are allowed"):
        read_archive(Pipe(iter([archive])), written.append)  # type: ignore[arg-type]
    assert 0 < sum(map(len, written)) <= 100_000
    assert len(gencomp.decompress(archive, max_output=150_000)) == 150_000


def test_honest_archives_of_any_size_are_within_the_default() -> None:
    assert DEFAULT_OUTPUT > 1 << 32  # sparse files of 4 GiB take little


def test_damage_is_not_taken_for_a_claim(book: bytes) -> None:
    """A trailer is believed beforehand only if its check is right; small members have none."""
    archive = bytearray(gencomp.compress(book[:2000], "counts:1", block_size=4096))
    archive[-55] ^= 0x7F  # the highest bytes of the raw total
    with pytest.raises(GencompError, match="damaged"):
        gencomp.decompress(bytes(archive))
    assert reader._claimed(io.BytesIO(bytes(archive))) is None
    small, full = (gencomp.compress(book[:2000], "counts:1", block_size=size) for size in (None, 4096))
    assert reader._claimed(io.BytesIO(full * 3)) == (6000, 3 * len(full))
    for cut in (1, 63, 64, 65, 200):
        assert reader._claimed(io.BytesIO(full[:-cut])) is None
    assert reader._claimed(io.BytesIO(small)) is None
    for size, reached in ((1999, "2,000"), (4000, "6,000")):
        with pytest.raises(OutputLimitError, match=f"{reached} bytes or more"):
            gencomp.decompress(small * 3, max_output=size)


# many blocks, many members


def many_blocks(count: int) -> Iterator[bytes]:
    """Yield an archive of 37-byte blocks, one byte in each."""
    header, key = pack_header({"model": None}, 1024)
    yield header
    size = len(header)
    for number in range(count):
        block = pack_block(key, BlockHeader(number, BlockType.STORED, False, 1, 1), b"x", b"x")
        size += len(block)
        yield block
    yield pack_trailer(key, Trailer(count, size + 64, count, bytes(32)))


def peak_of(action: Any) -> int:
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_blocks() -> None:
    def decode(count: int) -> None:
        with pytest.raises(GencompError, match="SHA-256"):
            read_archive(Pipe(many_blocks(count)), lambda content: None, threads=1)  # type: ignore[arg-type]

    def summarize(count: int) -> None:
        (member,) = summarize_members(Pipe(many_blocks(count)))  # type: ignore[arg-type]
        assert member.blocks == {BlockType.STORED: count}
        assert (member.payload, member.verified) == (count, 0)

    for action in (decode, summarize):
        action(10)
        few, many = peak_of(lambda: action(100)), peak_of(lambda: action(1000))  # noqa: B023
        assert many < few + 20_000, f"{action.__name__}: {few:,} and {many:,} bytes"


def test_the_model_of_many_members_is_asked_once(book: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(reader, "check_canary", lambda description, model: asked.append(1))
    model = as_predictor("zlib?level=6")
    description = {"model": models.describe(model)}
    member = forged(description, [(BlockType.MODEL, encode_block(model, book[:60]), book[:60])])
    assert gencomp.decompress(member * 20) == book[:60] * 20
    assert len(asked) == 1


# messages


def test_every_refusal_is_one_short_line() -> None:
    long = "x" * 60_000
    for spec in (
        long,
        f"mix?expert={long}",
        f"counts:{long}",
        f"ensemble:{long}",
        f"ensemble:gzip?windows={long}",
        f"ensemble:gzip?weights={long}",
        f"mix?sample={long}",
        f"mix?prime={long}",
        f"mix?memory={long}",
        f"png?channels={long}",
        f"lookahead:gzip?spans={long}",
        f"best?weights={long}",
        f"rnn:{long}",
        f"gguf:{long}",
        f"counts:2\0{long}",
        f"ensemble:[counts+order={'9' * 3000}]",
        f"mix?expert=[ensemble:{','.join(['gzip'] * 200)},uniform+alphabet_size=3]",
        "\x1b[2J\n",
        f"mix?{long}=1",
        "[" * 5000,
    ):
        with pytest.raises(GencompError) as caught:
            decompress_named(spec)
        assert len(str(caught.value)) < 1000, spec[:20]
        assert "\n" not in str(caught.value)
    for environment in ({"zlib": long}, {long: 1}, dict.fromkeys(map(str, range(5000)), 1)):
        archive = forged(named("zlib?level=9", environment=environment), [(BlockType.MODEL, b"x", b"content")])
        with pytest.raises(GencompError, match="made with") as caught:
            gencomp.decompress(archive)
        assert len(str(caught.value)) < 1000


SHAPES = (None, 0, 1.5, True, "", "mix", [], ["mix"], {}, {"spec": "mix"}, [[[]]])


@pytest.mark.parametrize("share", range(5))
@pytest.mark.every(5)
def test_descriptions_of_any_shape_are_refused(share: int) -> None:
    cases = itertools.product(SHAPES, ["integer", *SHAPES], [4, *SHAPES])
    for spec, numeric, revision in itertools.islice(cases, share, None, 5):
        description = {
            "spec": spec,
            "numeric": numeric,
            "revision": revision,
            "environment": revision,
            "canary": numeric,
        }
        with pytest.raises(GencompError):
            gencomp.decompress(forged({"model": description}, [(BlockType.MODEL, b"\0\xff", b"abcdef")]))
