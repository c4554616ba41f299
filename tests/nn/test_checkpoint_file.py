"""The file of a checkpoint: refused whatever is damaged in it, and a hostile one is no error of another kind."""

import functools
import json
import math
import random
import tracemalloc

import pytest
from support.mutants import mutants
from support.trainings import X, Y, data, fit, network

import tinygrad_scalar as ts
from tinygrad_scalar.nn.checkpoint_file import checksum

KEY = "tinygrad_scalar_checkpoint"
OPTIONS = {"epochs": 4, "batch_size": 3, "early_stopping": 9, "validation": (X[:3], Y[:3]), "metrics": ["mae"]}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("checkpoints") / "run.safetensors"


@pytest.fixture(scope="module")
def content(path):
    path.unlink(missing_ok=True)
    fit(network(), X, Y, checkpoint=path, **OPTIONS)
    return path.read_bytes()


NET = network()
BEFORE = data(NET)


def refused(path, content):
    """Whether the content is refused with one line, little memory, and nothing changed; else it is gone on from."""
    path.write_bytes(content)
    adam = ts.Adam(NET.parameters())
    tracemalloc.start()
    try:
        fit(NET, X, Y, optimizer=adam, checkpoint=path, resume=True, **OPTIONS)
    except ValueError as error:
        assert type(error) is ValueError
        assert str(error).startswith("cannot go on from the checkpoint ")
        assert "\n" not in str(error)
        assert len(str(error)) < 1000
        assert data(NET) == BEFORE
        assert vars(adam) == vars(ts.Adam(NET.parameters()))
        return True
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 100e6
    for parameter, number in zip(NET.parameters(), BEFORE):
        parameter.data = number
    return False


def parts(content):
    """The header, the description and the bytes of the arrays."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    return header, json.loads(header["__metadata__"][KEY].partition(" ")[2]), content[8 + length :]


def packed(header, data):
    text = json.dumps(header).encode(errors="surrogatepass")
    return len(text).to_bytes(8, "little") + text + data


def described(header, description, data):
    """A file of another description, with its right checksum."""
    text = description if isinstance(description, str) else json.dumps(description)
    right = checksum([text.encode(errors="surrogatepass")])
    return packed({**header, "__metadata__": {KEY: f"{right} {text}"}}, data)


def summed(header, description, data):
    """A file of other arrays, with their right checksum."""
    found = []
    for name in sorted(description["arrays"]):
        begin, end = header[name]["data_offsets"]
        found.append(data[begin:end])
    return described(header, {**description, "checksum": checksum(found)}, data)


def test_the_file_as_it_was_written_is_gone_on_from(path, content):
    assert not refused(path, content)
    header, description, data = parts(content)
    assert not refused(path, packed(header, data))
    assert not refused(path, described(header, description, data))
    assert not refused(path, summed(header, description, data))


# what stands in a header instead of what belongs there
POOL = [
    None, True, 0, 1, -1, 2**40, 10**30, 1.5, -0.0, math.nan, -math.inf, "", "x", "F8_E4M3", "F32", "\ud800",
    "a" * 1000, [], [[]], [7, 2], [None], {}, {"a": 1}, {"tuple": 1}, {"array": "float64"},
]  # fmt: skip


def flip(content, chance):
    flipped = bytearray(content)
    flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(flipped)


def cut(content, chance):
    return content[: chance.randrange(len(content))]


def lengthen(content, chance):
    return content + chance.randbytes(chance.randrange(1, 100))


def overwrite(content, chance):
    at = chance.randrange(len(content))
    other = chance.randbytes(chance.randrange(1, 200))
    return content[:at] + other + content[at + len(other) :]


def drop(content, chance):
    at = chance.randrange(len(content))
    return content[:at] + content[at + chance.randrange(1, 50) :]


@functools.cache
def edited_headers(content):
    header, _, data = parts(content)
    return [packed(m, data) for m in mutants(header, POOL, "another name") if repr(m) != repr(header)]


def edit_the_header(content, chance):
    return chance.choice(edited_headers(content))


def swap_arrays(content, chance):
    """Two arrays of one length change places."""
    header, _, data = parts(content)
    a, b = chance.choice([("cost", "metric 0"), ("optimizer _mean", "parameters"), ("cost", "validation_cost")])
    header[a]["data_offsets"], header[b]["data_offsets"] = header[b]["data_offsets"], header[a]["data_offsets"]
    return packed(header, data)


def lie_about_the_length(content, chance):
    return chance.choice([0, 1, 10**6, 10**6 + 1, 2**40, 2**63, 2**64 - 1]).to_bytes(8, "little") + content[8:]


DAMAGES = [flip, flip, flip, cut, lengthen, overwrite, drop, edit_the_header, swap_arrays, lie_about_the_length]


def test_every_damaged_file_is_refused(path, content, thorough):
    chance = random.Random(0)
    for i in range(500 if thorough else 100):
        damage = DAMAGES[i % len(DAMAGES)]
        damaged = damage(content, chance)
        assert damaged == content or refused(path, damaged), (i, damage.__name__)


@pytest.mark.parametrize("part", ["training", "state", "arrays", "checksum", "format"])
def test_a_description_with_anything_else_and_the_right_checksums_is_refused_or_gone_on_from(
    part, path, content, thorough
):
    header, description, data = parts(content)
    found = [
        description | {part: mutant[0]} for mutant in mutants([description[part]], POOL, "twice") if len(mutant) == 1
    ]
    for mutant in found if thorough else random.Random(0).sample(found, min(len(found), 60)):
        was_refused = refused(path, described(header, mutant, data))
        assert was_refused or part == "state" or repr(mutant) == repr(description), mutant


def test_other_numbers_with_the_right_checksums_are_refused_or_gone_on_from(path, content):
    header, description, data = parts(content)
    chance = random.Random(0)
    for _ in range(30):
        refused(path, summed(header, description, overwrite(data + bytes(200), chance)[: len(data)]))
    begin = header["parameters"]["data_offsets"][0]
    assert refused(path, summed(header, description, data[:begin] + b"\xff" * 8 + data[begin + 8 :]))  # nan


DEEP = 100_000
DESCRIPTIONS = {
    "deep lists": "[" * DEEP + "]" * DEEP,
    "a deep format": '{"format":' + "[" * DEEP + "]" * DEEP + "}",
    "a number of many digits": '{"format":' + "1" * DEEP + "}",
    "a key twice": '{"format": 1, "format": 1}',
    "no object": "[1]",
    "nothing": "",
    "no JSON": "{",
    "half a surrogate": "\ud800",
}


@pytest.mark.parametrize("text", DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_a_hostile_description_is_refused(text, path, content):
    header, _, data = parts(content)
    assert refused(path, described(header, text, data))


@pytest.mark.parametrize("attribute", ["parameters", "stepped", "step", "__class__", "zero_grad", "own"])
def test_the_state_of_an_optimizer_sets_nothing_but_its_numbers(attribute, path, content):
    header, description, data = parts(content)
    for numbers in ("began", "optimizer"):
        description["state"][numbers][attribute] = 1
    assert refused(path, described(header, description, data))


def test_another_safetensors_file_and_other_files_are_refused(path):
    ts.save(network(), path)
    for content in (path.read_bytes(), b"", b"text" * 100, bytes(1000)):
        assert refused(path, content)
