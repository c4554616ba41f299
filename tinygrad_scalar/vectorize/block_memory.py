"""The memory of a native program's arrays, and the groups of instructions that run row by row.

Rows of a block are given to arrays for as long as they are needed. An array that is made and read within one group, row
by row, needs no more than the rows that the group runs over at a time: a slot of the tile.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_scalar.vectorize.program import Array, Program

if TYPE_CHECKING:
    from numpy.typing import NDArray

PARTS = BEFORE_FORWARD, BEFORE_BACKWARD, FORWARD, BACKWARD, AFTER = range(5)


@dataclass(eq=False)
class Instruction:
    """One instruction of the executor.

    by_rows         whether it can run over some of its `rows` at a time
    aligned         for each operand whether its rows are those; of any other all are needed
    makes_rows      whether the rows of `out` are those too; else it adds to `out`
    may_overwrite   whether `out` may take the place of an aligned operand
    reads_argument  whether operand 1 is an argument as it is given
    """

    operation: int
    out: Array
    operands: tuple[Array, ...]
    rows: int = 1
    p: int = 0
    k: int = 0
    q: int = 0
    blocks: int = 1
    table: int = -1
    number: float = 0.0
    slope: Array | None = None
    aligned: tuple[bool, ...] = ()
    by_rows: bool = False
    makes_rows: bool | None = None
    may_overwrite: bool = False
    reads_argument: bool = False

    @property
    def reads(self) -> tuple[Array, ...]:
        return self.operands[:1] if self.reads_argument else self.operands

    @property
    def makes(self) -> tuple[Array, ...]:
        return (self.out,) if self.slope is None else (self.out, self.slope)

    def is_aligned(self, position: int) -> bool:
        return position < len(self.aligned) and self.aligned[position]

    def is_made_by_rows(self) -> bool:
        return self.may_overwrite if self.makes_rows is None else self.makes_rows


@dataclass(eq=False)
class Group:
    """Consecutive instructions that run over the same rows, a few at a time; or one of any kind."""

    rows: int
    instructions: list[Instruction] = field(default_factory=list)


class Groups:
    """The groups of a program, part by part."""

    def __init__(self, parts: Sequence[Sequence[Instruction]], memory: Memory) -> None:
        self.all: list[Group] = []
        self.first_of_part = [0]
        for part in parts:
            group: Group | None = None
            for instruction in part:
                if group is None or not self._joins(instruction, group, memory):
                    group = Group(instruction.rows)
                    self.all.append(group)
                    self.by_rows: set[Array] = set()
                    self.made: set[Array] = set()
                group.instructions.append(instruction)
                self.made.update(map(memory.owner, instruction.makes))
                if instruction.is_made_by_rows():
                    self.by_rows.update(instruction.makes)
            self.first_of_part.append(len(self.all))

    def _joins(self, instruction: Instruction, group: Group, memory: Memory) -> bool:
        if not (instruction.by_rows and group.instructions[0].by_rows and instruction.rows == group.rows > 1):
            return False
        for position, operand in enumerate(instruction.reads):
            if operand.values is not None:
                continue
            made_row_by_row = instruction.is_aligned(position) and operand in self.by_rows
            if memory.owner(operand) in self.made and not made_row_by_row:
                return False
        return True


@dataclass(eq=False)
class _Room:
    """Rows in use from the group `first` to the group `last`.

    base    "block", "fixed" for what is the same in all examples, or "sum" for sums over them
    """

    rows: int
    base: str
    first: int
    last: int
    offset: int = 0


class Memory:
    """Where the arrays of a program are.

    views    arrays that are rows of another one: which, and from which row on
    inside   arrays that are written into another one: which, and from which row on
    steps    matrices whose rows are not side by side: how far apart they are
    copied   arguments that are copied into the block, transposed; `bare` ones are read as they are given
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.views: dict[Array, tuple[Array, int]] = {}
        self.inside: dict[Array, tuple[Array, int]] = {}
        self.steps: dict[Array, int] = {}
        self.copied: list[Array] = []
        self.bare: dict[Array, int] = {}
        self.block_rows = self.fixed_rows = self.sum_rows = self.tile_slots = 0
        self._offsets: dict[Array, tuple[str, int]] = {}
        self._constants: list[NDArray[np.float64]] = []
        self._n_constants = 0

    def owner(self, array: Array) -> Array:
        """The array in whose memory this one is."""
        while array in self.views or array in self.inside:
            array = (self.views.get(array) or self.inside[array])[0]
        return array

    def whole(self, array: Array) -> Array:
        """The array that this one is another name of, with all its rows in order; else the array itself."""
        while array in self.views and self.views[array][1] == 0 and self.views[array][0].rows == array.rows:
            array = self.views[array][0]
        return array

    def place(self, array: Array) -> tuple[str, int]:
        """The base of an array's memory, and its first row there."""
        offset = 0
        while array in self.views or array in self.inside:
            array, start = self.views.get(array) or self.inside[array]
            offset += start
        if array not in self._offsets:
            values = array.values if array.rows else np.empty(0)  # as of an argument without numbers
            assert values is not None, "every array that is computed has a place"
            self._offsets[array] = ("constant", self._n_constants)
            self._constants.append(np.asarray(values, np.float64).ravel())
            self._n_constants += self._constants[-1].size
        base, start = self._offsets[array]
        return base, start + offset

    def constants(self) -> NDArray[np.float64]:
        return np.concatenate(self._constants) if self._constants else np.empty(0)

    def give(self, groups: Groups, kept: set[Any]) -> None:
        """Give a place to every array that is computed."""
        end = len(groups.all)
        blocks = range(groups.first_of_part[FORWARD], groups.first_of_part[AFTER])
        last: dict[Array, int] = dict.fromkeys((self.owner(array) for array in kept if array is not None), end)
        reads: dict[Array, list[tuple[int, bool]]] = {}  # of each owner: the group, and whether row by row
        last_instruction: dict[Array, Instruction] = {}
        makers: dict[Array, int] = {}
        sums: set[Array] = set()
        for g, group in enumerate(groups.all):
            for instruction in group.instructions:
                for position, operand in enumerate(instruction.reads):
                    owner = self.owner(operand)
                    reads.setdefault(owner, []).append((g, instruction.is_aligned(position) and owner is operand))
                    # what is the same in all examples is read in every block
                    time = blocks.stop if g in blocks and not owner.batched else g
                    last[owner] = max(last.get(owner, time), time)
                    last_instruction[owner] = instruction
                for array in instruction.makes:
                    owner = self.owner(array)
                    last[owner] = max(last.get(owner, g), g)
                    makers[owner] = makers.get(owner, 0) + 1
                    if g in blocks and not owner.batched:
                        sums.add(owner)

        self._offsets[self.program.parameters] = ("parameters", 0)
        assert self.program.gradient is not None
        self._offsets[self.program.gradient] = ("gradient", 0)
        rooms: dict[Array, _Room] = {}
        all_rooms: list[_Room] = []
        for argument in self.copied:
            rooms[argument] = _Room(argument.rows, "block", -1, last.get(argument, -1))
            all_rooms.append(rooms[argument])
        for g, group in enumerate(groups.all):
            slots: list[Array | None] = []
            for instruction in group.instructions:
                for array in instruction.makes:
                    owner = self.owner(array)
                    if owner in rooms or owner in self._offsets:
                        continue
                    within = all(at == g and by_row for at, by_row in reads.get(owner, []))
                    by_rows = owner is array and instruction.is_made_by_rows() and makers[owner] == 1
                    if len(group.instructions) > 1 and within and by_rows and last[owner] == g:
                        self._offsets[owner] = ("tile", self._slot(slots, array, instruction, last_instruction))
                        continue
                    over = None
                    if owner is array:
                        over = self._taken_over(instruction, array, g, rooms, last, reads, last_instruction)
                    if over is None:
                        # sums grow in every block
                        base = "block" if owner.batched else "sum" if owner in sums else "fixed"
                        first = min(g, blocks.start) if base == "sum" else g
                        over = _Room(owner.rows, base, first, last[owner])
                        all_rooms.append(over)
                    over.last = max(over.last, last[owner])
                    rooms[owner] = over
                for k, held in enumerate(slots):
                    if held is not None and last_instruction.get(held, instruction) is instruction:
                        slots[k] = None
            self.tile_slots = max(self.tile_slots, len(slots))
        self.block_rows, self.fixed_rows, self.sum_rows = (
            _share([room for room in all_rooms if room.base == base]) for base in ("block", "fixed", "sum")
        )
        for array, room in rooms.items():
            self._offsets[array] = (room.base, room.offset)

    @staticmethod
    def _slot(
        slots: list[Array | None], array: Array, instruction: Instruction, last_instruction: dict[Array, Instruction]
    ) -> int:
        """A slot of the tile: that of an operand read for the last time, a free one, or a new one."""
        if instruction.may_overwrite and array is instruction.out:
            for k, other in enumerate(slots):
                if other in instruction.operands and last_instruction.get(other) is instruction:
                    slots[k] = array
                    return k
        if None in slots:
            k = slots.index(None)
            slots[k] = array
            return k
        slots.append(array)
        return len(slots) - 1

    @staticmethod
    def _taken_over(
        instruction: Instruction,
        array: Array,
        g: int,
        rooms: dict[Array, _Room],
        last: dict[Array, int],
        reads: dict[Array, list[tuple[int, bool]]],
        last_instruction: dict[Array, Instruction],
    ) -> _Room | None:
        """The room of an operand that is not read afterwards, if the result can be written over it."""
        if not instruction.may_overwrite or array is not instruction.out:
            return None
        for position, operand in enumerate(instruction.operands):
            room = rooms.get(operand)
            if (
                room is not None
                and instruction.is_aligned(position)
                and operand.rows == room.rows == array.rows
                and operand.batched == array.batched
                and last[operand] == room.last == g
                and last_instruction[operand] is instruction
                and all(by_row for at, by_row in reads[operand] if at == g)
            ):
                return room
        return None


def _share(rooms: list[_Room]) -> int:
    """Give rooms that are in use at different times the same rows; how many rows that takes.

    They are given from the first group to the last, or from the last to the first if that takes fewer: the gaps that
    the forward pass leaves are often too small for the gradients of larger arrays.
    """
    times = [(room.first, room.last) for room in rooms]
    offsets, most = _first_fit([room.rows for room in rooms], times)
    backwards, fewer = _first_fit([room.rows for room in rooms], [(-last, -first) for first, last in times])
    if fewer < most:
        offsets, most = backwards, fewer
    for room, offset in zip(rooms, offsets):
        room.offset = offset
    return most


def _first_fit(sizes: list[int], times: list[tuple[int, int]]) -> tuple[list[int], int]:
    """Where rooms of these sizes go, each into the first gap that it fits in; and how many rows all take."""
    starting: dict[int, list[int]] = {}
    for room, (first, _) in enumerate(times):
        starting.setdefault(first, []).append(room)
    in_use: list[tuple[int, int, int]] = []  # (last, offset, rows), the first to go on top
    gaps: list[tuple[int, int]] = [(0, 1 << 60)]  # (start, end), in order
    offsets, rows = [0] * len(sizes), 0
    for time in sorted(starting):
        while in_use and in_use[0][0] < time:
            _, offset, size = heappop(in_use)
            _add_gap(gaps, offset, offset + size)
        for room in sorted(starting[time], key=lambda room: -sizes[room]):
            size = sizes[room]
            k = next(k for k, (start, end) in enumerate(gaps) if end - start >= size)
            start, end = gaps[k]
            offsets[room] = start
            gaps[k : k + 1] = [(start + size, end)] if start + size < end else []
            heappush(in_use, (times[room][1], start, size))
            rows = max(rows, start + size)
    return offsets, rows


def _add_gap(gaps: list[tuple[int, int]], start: int, end: int) -> None:
    """Put a gap among the others, joined with those that it touches."""
    k = bisect(gaps, (start, end))
    if k < len(gaps) and gaps[k][0] == end:
        end = gaps.pop(k)[1]
    if k > 0 and gaps[k - 1][1] == start:
        k -= 1
        start = gaps.pop(k)[0]
    gaps.insert(k, (start, end))
