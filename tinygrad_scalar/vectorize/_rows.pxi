# A scalar program of several outputs: the values of each example and the rows of its Jacobian. A block of examples runs
# forwards once, then backwards once for each output, through the steps that this output is computed from. Where fewer
# leaves than outputs have derivatives, forwards once for each leaf can be less work: tangents are carried along the
# edges that depend on the leaf, each with its partial derivative. Then the ways back from the outputs, which can be long
# in all, are only found where a derivative is not finite.

cdef struct Sweep:
    # the way back from one output
    int* back  # its steps, the last first; or NULL, and a bit for each step of the program from 64·first_word on
    unsigned long long* bits
    Py_ssize_t first_word, n_words
    char* by_choice  # of each step, if any has choices
    Py_ssize_t n_back
    int last  # the step that makes the output, or −1
    bint has_choices
    int* leaves  # the slots without a step that it reaches, or all slots without a step if it reaches many of them
    Py_ssize_t n_leaves
    int* slots  # of these, the slots whose gradient is wanted; where[i] says in which array, at[i] where in a row of it
    int* where
    Py_ssize_t* at
    Py_ssize_t n_wanted


cdef struct Edge:
    int out
    int x  # the operand's slot; of a lookup the step's number
    int partial  # its place among the partial derivatives; -1 for a lookup
    char careful  # whether a partial derivative of 0 lets nothing through, not even infinities


cdef struct Tangent:
    # the way forwards from one leaf, and the derivatives that are wanted of outputs
    int slot
    Edge* edges  # those into one slot one after the other; or NULL, and a bit for each edge of the program
    unsigned long long* bits
    Py_ssize_t n_edges
    int* outputs
    int* where
    Py_ssize_t* at
    Py_ssize_t n_wanted


cdef enum:
    EACH, TOTAL, INPUTS

cdef enum:
    MANY = 8  # a sweep through more than one of so many steps is found by going through all of them
    MANY_EDGES = 1 << 18  # the same of edges in all tangents
    KEPT = 4  # sweeps are kept beside tangents if they have at most so many times as many steps
    MOST_LEAVES = 512  # for each 64 of which `few_leaves` goes through all steps
    MANY_BACK = 1 << 18  # steps in all sweeps, from which on each has bits instead if these are fewer bytes


cdef extern from *:
    int check_signals "PyErr_CheckSignals"()  # leaves its exception for the caller to raise


cdef int raise_as_set() except -1:
    """Raise the exception that is set already."""
    return -1


cdef struct RowChunk:
    Instruction* missing_row
    double wanted_row
    bint alarmed


cdef struct RowChunks:
    # a call's examples, for several threads
    void* executors[_threads.MOST_THREADS]  # one for each
    double* columns[3]
    Py_ssize_t widths[3]
    const double* theta
    const double* rows
    double* values
    double* watched
    Py_ssize_t m, n_blocks, n_chunks, between_looks
    bint backwards, alarming, stopped
    RowChunk chunks[MOST_CHUNKS]
    double* areas  # of each chunk its sums over the examples, of TOTAL


cdef void run_one_chunk_of_rows(void* work, Py_ssize_t c, _threads.Turn* turn) noexcept nogil:
    cdef RowChunks* chunks = <RowChunks*>work
    (<Rows>chunks.executors[turn.thread]).run_row_chunk(chunks, c, turn)


cdef inline int* write_bits(int* at, unsigned long long word, int first, int by) noexcept nogil:
    """Write the numbers of a word's bits, of which the one met first has that number; where the next ones go."""
    cdef int i
    if word == ~<unsigned long long>0:
        for i in range(64):
            at[i] = first + by * i
        return at + 64
    for i in range(64 if word else 0):
        at[0] = first + by * i
        at += word >> (i if by > 0 else 63 - i) & 1
    return at


cdef class Rows(Executor):
    """An executor that runs `run_rows`, once `set_outputs` has said which slots are the outputs."""

    cdef Py_ssize_t n_outputs
    cdef int* outputs
    cdef Sweep* sweeps
    cdef int* all_leaves  # the slots without a step
    cdef Py_ssize_t n_all_leaves
    cdef Tangent* tangents  # none if the sweeps go backwards
    cdef Py_ssize_t n_tangents, n_partials, n_found
    cdef int* all_back  # the steps that any sweep goes through, in order
    cdef Py_ssize_t n_all_back
    cdef int* first_partial  # of each of these
    cdef Edge* edges  # of all tangents, if any has bits for them
    cdef Py_ssize_t n_edges
    cdef bint edges_have_bits
    cdef bint looks_up
    cdef readonly bint deferred  # whether the sweeps are not found, as tangents run; then each that is needed is found anew
    cdef char* marks  # of each slot for that: 0, 1 if the gradient reaches it, 2 if no step makes it
    cdef bint has_bits  # whether any sweep or tangent has
    cdef int* written  # the steps or edges of the last one of bits that was asked for
    cdef double* tangent_memory  # tangents, partial derivatives and what was found, for as many lanes
    cdef Py_ssize_t tangent_lanes
    cdef readonly Py_ssize_t n_passed  # steps, or edges and steps, in all sweeps
    cdef bint busy
    cdef list twins  # executors of the same program, for other threads

    def set_outputs(self, outputs):
        """Find the way back from each output; returns for each what it reads: parameters and inputs, in order."""
        cdef Py_ssize_t s, j
        cdef Sweep* sweep
        makers = np.full(self.n_slots, -1, np.int32)
        cdef int[::1] maker = makers
        cdef char[::1] reached = np.zeros(self.n_slots, np.int8)
        cdef int[::1] room = np.empty(2 * self.n_slots + self.n_steps, np.int32)
        cdef int[::1] without_step
        cdef list every = []
        self.sweeps = <Sweep*>block(len(outputs) * sizeof(Sweep))
        memset(self.sweeps, 0, len(outputs) * sizeof(Sweep))
        self.n_outputs = len(outputs)
        self.outputs = <int*>block(self.n_outputs * sizeof(int))
        for s in range(self.n_steps):
            maker[self.steps[s].out] = <int>s
        without_step = np.flatnonzero(makers < 0).astype(np.int32)
        self.n_all_leaves = without_step.shape[0]
        self.all_leaves = <int*>block(self.n_all_leaves * sizeof(int))
        for s in range(self.n_all_leaves):
            self.all_leaves[s] = without_step[s]
        for j in range(self.n_outputs):
            self.outputs[j] = outputs[j]
            self.sweeps[j].last = maker[self.outputs[j]]
        quick = self.few_leaves()
        if quick is not None:
            self.deferred = True
            return quick
        for j in range(self.n_outputs):
            PyErr_CheckSignals()
            sweep = self.sweeps + j
            leaves = self.find_sweep(sweep, self.outputs[j], maker, reached, room, without_step)
            self.marks_choices |= sweep.has_choices
            every.append(leaves[:np.searchsorted(leaves, self.n_parameters + self.n_inputs)].copy())
        self.make_room_for_bits()
        return every

    cdef few_leaves(self):
        """What `set_outputs` returns where the outputs read fewer leaves than there are outputs; None elsewhere.

        In each pass forwards 64 leaves mark what is computed from them.
        """
        cdef Py_ssize_t s, j, k, first, n_leaves
        cdef char[::1] reached = np.zeros(self.n_slots, np.int8)
        cdef unsigned long long[::1] found
        cdef unsigned long long bits
        cdef Instruction* step
        for s in range(self.n_steps):
            if self.steps[s].code == LOOKUP:
                return None
        self.reach_all(reached)
        leaves = np.flatnonzero(np.asarray(reached)[:self.n_parameters + self.n_inputs]).astype(np.int32)
        cdef int[::1] leaf = leaves
        n_leaves = leaf.shape[0]
        if n_leaves >= self.n_outputs or n_leaves > MOST_LEAVES:
            return None
        found = np.empty(self.n_slots, np.uint64)
        read_ = np.empty((self.n_outputs, (n_leaves + 63) // 64), "<u8")
        cdef unsigned long long[:, ::1] read = read_
        for first in range(0, n_leaves, 64):
            PyErr_CheckSignals()
            found[:] = 0
            for k in range(first, min(first + 64, n_leaves)):
                found[leaf[k]] = <unsigned long long>1 << (k - first)
            for s in range(self.n_steps):
                step = self.steps + s
                bits = 0
                for k in range(3):
                    if has_gradient(step, k):
                        bits |= found[operand(step, k)]
                found[step.out] = bits
            for j in range(self.n_outputs):
                read[j, first // 64] = found[self.outputs[j]]
        return [
            leaves[np.unpackbits(row, bitorder="little", count=n_leaves).view(np.bool_)] for row in read_.view(np.uint8)
        ]

    cdef int reach_all(self, char[::1] reached) except -1:
        """Mark what a gradient from any output reaches, where nothing is looked up."""
        cdef Py_ssize_t s, j, k
        for j in range(self.n_outputs):
            reached[self.outputs[j]] = 1
        for s in range(self.n_steps - 1, -1, -1):
            for k in range(3 if reached[self.steps[s].out] else 0):
                if has_gradient(self.steps + s, k):
                    reached[operand(self.steps + s, k)] = 1
        return 0

    cdef find_sweep(
        self, Sweep* sweep, int output, int[::1] maker, char[::1] reached, int[::1] room, int[::1] without_step
    ):
        """Fill the way back of one output; the leaves that it reaches."""
        leaves = self.find_few(sweep, output, maker, reached, room)
        return self.find_many(sweep, output, maker, reached, room, without_step) if leaves is None else leaves

    cdef find_few(self, Sweep* sweep, int output, int[::1] maker, char[::1] reached, int[::1] room):
        """Fill the way back of one output in a time that is proportional to its steps; `reached` is all 0 before and
        after. The leaves that it reaches; None, with nothing done, if it goes through many of the steps before it."""
        cdef int[::1] todo = room[:self.n_slots], seen = room[self.n_slots:2 * self.n_slots]
        cdef int[::1] found = room[2 * self.n_slots:]
        cdef Py_ssize_t n_todo = 1, n_seen = 1, n_found = 0, k, s
        cdef int slot
        cdef Instruction* step
        leaves = None
        reached[output] = 1
        todo[0] = seen[0] = output
        while n_todo and n_found <= (maker[output] + MANY) // MANY:
            n_todo -= 1
            slot = todo[n_todo]
            if maker[slot] < 0:
                continue
            found[n_found] = -maker[slot]  # to be sorted with the last step first
            n_found += 1
            step = self.steps + maker[slot]
            for k in range(step.z if step.code == LOOKUP else 3):
                if step.code != LOOKUP and not has_gradient(step, k):
                    continue
                slot = self.tables[step.y + k] if step.code == LOOKUP else operand(step, k)
                if not reached[slot]:
                    reached[slot] = 1
                    todo[n_todo], seen[n_seen] = slot, slot
                    n_todo += 1
                    n_seen += 1
        if n_todo == 0:
            np.asarray(found[:n_found]).sort()
            reached[output] = 2
            for s in range(n_found):
                found[s] = -found[s]
                self.reach_operands(self.steps + found[s], reached)
            self.keep_steps(sweep, found, n_found, reached)
            np.asarray(seen[:n_seen]).sort()
            leaves = self.keep_leaves(sweep, seen[:n_seen], maker, reached)
        for k in range(n_seen):
            reached[seen[k]] = 0
        return leaves

    cdef find_many(
        self, Sweep* sweep, int output, int[::1] maker, char[::1] reached, int[::1] room, int[::1] without_step
    ):
        """The same by going through all steps before the output."""
        cdef int[::1] found = room[2 * self.n_slots:]
        cdef Py_ssize_t s, n_found = 0
        reached[output] = 2
        for s in range(maker[output], -1, -1):
            if reached[self.steps[s].out]:
                found[n_found] = <int>s
                n_found += 1
                self.reach_operands(self.steps + s, reached)
        self.keep_steps(sweep, found, n_found, reached)
        leaves = self.keep_leaves(sweep, without_step, maker, reached)
        reached[:] = 0
        return leaves

    cdef inline void reach_operands(self, Instruction* step, char[::1] reached) noexcept:
        """Mark the operands of a step that is reached: 2, or 1 if lookups alone lead to them."""
        cdef Py_ssize_t k
        cdef int slot
        for k in range(step.z if step.code == LOOKUP else 3):
            if step.code == LOOKUP:
                slot = self.tables[step.y + k]
                reached[slot] = max(reached[slot], <char>1)
            elif has_gradient(step, k):
                slot = operand(step, k)
                reached[slot] = max(reached[slot], reached[step.out])

    cdef int keep_steps(self, Sweep* sweep, int[::1] found, Py_ssize_t n_found, char[::1] reached) except -1:
        cdef Py_ssize_t s
        sweep.n_back = n_found
        for s in range(n_found):
            sweep.has_choices |= reached[self.steps[found[s]].out] == 1
        if sweep.has_choices:
            sweep.by_choice = <char*>block(n_found)
            for s in range(n_found):
                sweep.by_choice[s] = reached[self.steps[found[s]].out] == 1  # through lookups alone
        if n_found * self.n_outputs >= MANY_BACK:
            sweep.first_word = found[n_found - 1] // 64
            sweep.n_words = found[0] // 64 + 1 - sweep.first_word
            if sweep.n_words * 8 < n_found * <Py_ssize_t>sizeof(int):
                self.has_bits = True
                sweep.bits = <unsigned long long*>block(sweep.n_words * sizeof(unsigned long long))
                memset(sweep.bits, 0, sweep.n_words * sizeof(unsigned long long))
                for s in range(n_found):
                    sweep.bits[found[s] // 64 - sweep.first_word] |= <unsigned long long>1 << (found[s] % 64)
                return 0
        sweep.back = <int*>block(n_found * sizeof(int))
        for s in range(n_found):
            sweep.back[s] = found[s]
        return 0

    cdef keep_leaves(self, Sweep* sweep, int[::1] slots, int[::1] maker, char[::1] reached):
        """Those of the slots, which go up, that are reached and that no step makes."""
        cdef Py_ssize_t k, n = 0
        for k in range(slots.shape[0]):
            n += reached[slots[k]] and maker[slots[k]] < 0
        found = np.empty(n, np.int32)
        cdef int[::1] leaves = found
        n = 0
        for k in range(slots.shape[0]):
            if reached[slots[k]] and maker[slots[k]] < 0:
                leaves[n] = slots[k]
                n += 1
        if n * self.n_outputs >= MANY_BACK and 2 * n > self.n_all_leaves:
            sweep.leaves, sweep.n_leaves = self.all_leaves, self.n_all_leaves
            return found
        sweep.leaves, sweep.n_leaves = <int*>block(n * sizeof(int)), n
        for k in range(n):
            sweep.leaves[k] = leaves[k]
        return found

    cdef int make_room_for_bits(self) except -1:
        if self.has_bits:
            PyMem_Free(self.written)
            self.written = NULL
            self.written = <int*>block((max(self.n_steps, self.n_edges) + 1) * sizeof(int))
        return 0

    cdef int* back_of(self, Sweep* sweep) noexcept nogil:
        """The steps of a sweep, the last first; if it has bits or is deferred, until the next call. Sets `n_back`."""
        cdef int* at = self.written
        cdef Py_ssize_t w
        self.n_back = sweep.n_back
        if self.deferred:
            return self.mark_back(sweep.last)
        if sweep.bits is NULL:
            return sweep.back
        for w in range(sweep.n_words - 1, -1, -1):
            at = write_bits(at, sweep.bits[w], <int>(64 * (sweep.first_word + w)) + 63, -1)
        return self.written

    cdef int* mark_back(self, Py_ssize_t s) noexcept nogil:
        """The steps that a gradient from step s reaches."""
        cdef Py_ssize_t k, n = 0, marked = s >= 0
        cdef Instruction* step
        if marked:
            self.marks[self.steps[s].out] = 1
        while marked:
            step = self.steps + s
            if self.marks[step.out]:
                self.marks[step.out] = 0
                marked -= 1
                self.written[n] = <int>s
                n += 1
                for k in range(3):
                    if has_gradient(step, k) and not self.marks[operand(step, k)]:
                        self.marks[operand(step, k)] = 1
                        marked += 1
            s -= 1
        self.n_back = n
        return self.written

    def want(self, Py_ssize_t j, slots, where, at):
        """Say which leaves of output j have a wanted gradient, and where it goes: see `run_rows`."""
        cdef Sweep* sweep = self.sweeps + j
        cdef Py_ssize_t k
        cdef const long long[::1] its_slots = np.ascontiguousarray(slots, np.int64)
        cdef const long long[::1] its_where = np.ascontiguousarray(where, np.int64)
        cdef const long long[::1] its_at = np.ascontiguousarray(at, np.int64)
        sweep.n_wanted = its_slots.shape[0]
        sweep.slots = <int*>block(sweep.n_wanted * sizeof(int))
        sweep.where = <int*>block(sweep.n_wanted * sizeof(int))
        sweep.at = <Py_ssize_t*>block(sweep.n_wanted * sizeof(Py_ssize_t))
        for k in range(sweep.n_wanted):
            sweep.slots[k], sweep.where[k] = <int>its_slots[k], <int>its_where[k]
            sweep.at[k] = <Py_ssize_t>its_at[k]

    def choose_direction(self):
        """Whether the sweeps go forwards, after all calls of `want`: they do if that takes fewer steps in all."""
        cdef Py_ssize_t j, k, s, backwards = 0, edges = 0, n_swept = self.n_outputs, spent = 0, scanned = 0
        cdef int* back
        cdef int[::1] maker, room, without_step
        cdef char[::1] reached
        cdef Tangent* tangent
        cdef char[::1] passed = np.zeros(self.n_steps, np.int8)
        cdef char[::1] depends = np.zeros(self.n_slots, np.int8)
        cdef Edge* edge
        cdef Py_ssize_t n_leaves = 0
        cdef dict leaves = {}
        if self.n_outputs == 1:
            self.n_passed = self.sweeps[0].n_back if self.sweeps[0].n_wanted else 0
            return False
        for j in range(self.n_outputs):
            backwards += self.sweeps[j].n_back if self.sweeps[j].n_wanted else 0
            for k in range(self.sweeps[j].n_wanted):
                n_leaves += not depends[self.sweeps[j].slots[k]]
                depends[self.sweeps[j].slots[k]] = 1
            back = self.back_of(self.sweeps + j) if not self.deferred else NULL
            for k in range(self.sweeps[j].n_back):
                passed[back[k]] = 1
        self.n_passed = backwards
        if n_leaves >= self.n_outputs or n_leaves == 0:
            return False
        for j in range(self.n_outputs):
            for k in range(self.sweeps[j].n_wanted):
                leaves.setdefault(self.sweeps[j].slots[k], []).append((j, self.sweeps[j].where[k], self.sweeps[j].at[k]))
        if self.deferred:
            makers = np.full(self.n_slots, -1, np.int32)
            maker, reached, n_swept = makers, np.zeros(self.n_slots, np.int8), 0
            self.reach_all(reached)
            for s in range(self.n_steps):
                maker[self.steps[s].out] = <int>s
                passed[s] = reached[self.steps[s].out]
            reached[:] = 0
            room = np.empty(2 * self.n_slots + self.n_steps, np.int32)
            without_step = np.flatnonzero(makers < 0).astype(np.int32)
        order = np.flatnonzero(passed).astype(np.int32)
        cdef int[::1] steps = order
        cdef Py_ssize_t[::1] first = np.zeros(self.n_steps, np.intp)
        cdef Py_ssize_t n_partials = 0
        for s in range(steps.shape[0]):
            first[steps[s]] = n_partials
            for k in range(3):
                if self.steps[steps[s]].code != LOOKUP and has_gradient(self.steps + steps[s], k):
                    n_partials = first[steps[s]] + k + 1
        self.write_edges(steps, first)
        cdef int[::1] chosen = np.empty(self.n_edges, np.int32)
        self.tangents = <Tangent*>block(len(leaves) * sizeof(Tangent))
        memset(self.tangents, 0, len(leaves) * sizeof(Tangent))
        cdef list slots = list(leaves)
        # both directions in turn, as either can be by far the longer one, until it is clear which it is
        while self.n_tangents < len(slots) or (n_swept < self.n_outputs and backwards <= KEPT * (edges + steps.shape[0])):
            if n_swept < self.n_outputs and (self.n_tangents == len(slots) or spent <= scanned):
                PyErr_CheckSignals()
                self.find_sweep(self.sweeps + n_swept, self.outputs[n_swept], maker, reached, room, without_step)
                spent += MANY * (self.sweeps[n_swept].n_back + 1)
                backwards += self.sweeps[n_swept].n_back if self.sweeps[n_swept].n_wanted else 0
                n_swept += 1
                if n_swept == self.n_outputs and edges + steps.shape[0] >= backwards:
                    break
                continue
            leaf = slots[self.n_tangents]
            depends[:] = 0
            depends[<int>leaf] = 1
            tangent = self.tangents + self.n_tangents
            self.n_tangents += 1
            tangent.slot = leaf
            for s in range(self.n_edges):
                edge = self.edges + s
                if self.leads_on(edge, depends):
                    depends[edge.out] = 1
                    chosen[tangent.n_edges] = <int>s
                    tangent.n_edges += 1
            edges += tangent.n_edges
            scanned += self.n_edges
            if n_swept == self.n_outputs and edges + steps.shape[0] >= backwards:
                break
            self.keep_edges(tangent, chosen, <Py_ssize_t>len(leaves))
        if n_swept == self.n_outputs:
            self.deferred = False
            if edges + steps.shape[0] >= backwards:
                self.n_passed = backwards
                self.forget_tangents()
                self.make_room_for_bits()
                return False
        else:
            self.forget_sweeps()
        if not self.edges_have_bits:
            PyMem_Free(self.edges)
            self.edges = NULL
        self.make_room_for_bits()
        self.n_passed = edges + steps.shape[0]
        self.n_partials = n_partials
        self.n_all_back = steps.shape[0]
        self.all_back = <int*>block(self.n_all_back * sizeof(int))
        self.first_partial = <int*>block(self.n_all_back * sizeof(int))
        for s in range(self.n_all_back):
            self.all_back[s] = steps[s]
            self.first_partial[s] = <int>first[steps[s]]
            self.looks_up |= self.steps[steps[s]].code == LOOKUP
        for j in range(self.n_tangents):
            tangent = self.tangents + j
            tangent.n_wanted = len(leaves[tangent.slot])
            tangent.outputs = <int*>block(tangent.n_wanted * sizeof(int))
            tangent.where = <int*>block(tangent.n_wanted * sizeof(int))
            tangent.at = <Py_ssize_t*>block(tangent.n_wanted * sizeof(Py_ssize_t))
            for k, (output, where, at) in enumerate(leaves[tangent.slot]):
                tangent.outputs[k], tangent.where[k], tangent.at[k] = output, where, at
            self.n_found += tangent.n_wanted
        return True

    cdef int write_edges(self, const int[::1] steps, const Py_ssize_t[::1] first) except -1:
        """All edges along which a derivative goes, in order."""
        cdef Py_ssize_t s, k, room = 0
        cdef Instruction* step
        cdef Edge* edge
        for s in range(steps.shape[0]):
            step = self.steps + steps[s]
            self.edges = <Edge*>grown(self.edges, self.n_edges + 3, &room, sizeof(Edge))
            for k in range(1 if step.code == LOOKUP else 3):
                if step.code != LOOKUP and (not has_gradient(step, k) or self.is_repeated(step, k)):
                    continue
                edge = self.edges + self.n_edges
                self.n_edges += 1
                edge.out = step.out
                if step.code == LOOKUP:
                    edge.x, edge.partial, edge.careful = steps[s], -1, 0
                else:
                    edge.x, edge.partial = operand(step, k), <int>(first[steps[s]] + k)
                    edge.careful = step.code == _ops.WHERE or is_piecewise(step.code, step.number)
        return 0

    cdef inline bint leads_on(self, Edge* edge, char[::1] depends) noexcept:
        """Whether an edge begins at what depends on a leaf."""
        cdef Instruction* step
        cdef Py_ssize_t k
        if edge.partial >= 0:
            return depends[edge.x]
        step = self.steps + edge.x
        for k in range(step.z):
            if depends[self.tables[step.y + k]]:
                return True
        return False

    cdef int keep_edges(self, Tangent* tangent, int[::1] chosen, Py_ssize_t n_leaves) except -1:
        cdef Py_ssize_t e, n_words = self.n_edges // 64 + 1
        if tangent.n_edges * n_leaves >= MANY_EDGES and n_words * 8 < tangent.n_edges * <Py_ssize_t>sizeof(Edge):
            self.has_bits = self.edges_have_bits = True
            tangent.bits = <unsigned long long*>block(n_words * sizeof(unsigned long long))
            memset(tangent.bits, 0, n_words * sizeof(unsigned long long))
            for e in range(tangent.n_edges):
                tangent.bits[chosen[e] // 64] |= <unsigned long long>1 << (chosen[e] % 64)
            return 0
        tangent.edges = <Edge*>block(tangent.n_edges * sizeof(Edge))
        for e in range(tangent.n_edges):
            tangent.edges[e] = self.edges[chosen[e]]
        return 0

    cdef int* edges_of(self, Tangent* tangent) noexcept nogil:
        """The edges of a tangent that has bits, until the next call."""
        cdef int* at = self.written
        cdef Py_ssize_t w
        for w in range(self.n_edges // 64 + 1):
            at = write_bits(at, tangent.bits[w], <int>(64 * w), 1)
        return self.written

    cdef bint is_repeated(self, Instruction* step, Py_ssize_t k) noexcept nogil:
        """Whether an operand before operand k is the same, whose partial derivative then counts for both."""
        cdef Py_ssize_t i
        for i in range(k):
            if has_gradient(step, i) and operand(step, i) == operand(step, k):
                return True
        return False

    def __init__(self, *program):
        self.twins = []

    def __dealloc__(self):
        cdef Py_ssize_t j
        PyMem_Free(self.tangent_memory)
        PyMem_Free(self.written)
        PyMem_Free(self.marks)
        if self.is_twin:
            return
        self.forget_sweeps()
        for j in range(self.n_outputs):
            PyMem_Free(self.sweeps[j].slots)
            PyMem_Free(self.sweeps[j].where)
            PyMem_Free(self.sweeps[j].at)
        self.forget_tangents()
        PyMem_Free(self.all_leaves)
        PyMem_Free(self.all_back)
        PyMem_Free(self.first_partial)
        PyMem_Free(self.sweeps)
        PyMem_Free(self.outputs)

    cdef void forget_sweeps(self) noexcept:
        """Leave their ways back to `mark_back`."""
        cdef Py_ssize_t j
        cdef Sweep* sweep
        for j in range(self.n_outputs):
            sweep = self.sweeps + j
            PyMem_Free(sweep.back)
            PyMem_Free(sweep.bits)
            PyMem_Free(sweep.by_choice)
            if sweep.leaves is not self.all_leaves:
                PyMem_Free(sweep.leaves)
            sweep.back, sweep.bits, sweep.by_choice, sweep.n_back = NULL, NULL, NULL, 0
            sweep.leaves, sweep.n_leaves = self.all_leaves, self.n_all_leaves
        self.has_bits = True

    cdef void forget_tangents(self) noexcept:
        cdef Py_ssize_t j
        PyMem_Free(self.edges)
        self.edges, self.n_edges = NULL, 0
        for j in range(self.n_tangents):
            PyMem_Free(self.tangents[j].edges)
            PyMem_Free(self.tangents[j].bits)
            PyMem_Free(self.tangents[j].outputs)
            PyMem_Free(self.tangents[j].where)
            PyMem_Free(self.tangents[j].at)
        PyMem_Free(self.tangents)
        self.tangents, self.n_tangents = NULL, 0

    cdef int share_rows(self, Rows other) except -1:
        """Give the outputs of another executor of the same program."""
        self.n_outputs, self.outputs, self.sweeps = other.n_outputs, other.outputs, other.sweeps
        self.tangents, self.n_tangents = other.tangents, other.n_tangents
        self.n_partials, self.n_found, self.n_passed = other.n_partials, other.n_found, other.n_passed
        self.all_back, self.n_all_back, self.looks_up = other.all_back, other.n_all_back, other.looks_up
        self.first_partial, self.has_bits, self.deferred = other.first_partial, other.has_bits, other.deferred
        self.all_leaves, self.n_all_leaves = other.all_leaves, other.n_all_leaves
        self.edges, self.n_edges = other.edges, other.n_edges
        return 0

    cdef double work(self) noexcept:
        """Roughly, the nanoseconds of an example."""
        cdef Py_ssize_t j, derivatives = 0
        for j in range(self.n_outputs):
            derivatives += self.sweeps[j].n_wanted
        return 0.8 * self.n_steps + 1.2 * self.n_passed + 1.6 * derivatives + 1.0

    def chunks(self, Py_ssize_t m, Py_ssize_t sums=0):
        """How many chunks m examples form, with so many sums over the examples. For the tests."""
        return self.n_chunks(m, sums, False)

    cdef Py_ssize_t n_chunks(self, Py_ssize_t m, Py_ssize_t sums, bint alarming) noexcept:
        """As in _machine.pxi."""
        cdef Py_ssize_t chunks = 1
        cdef double work = self.work()
        while (
            not alarming and 2 * chunks <= min(m // LANES, MOST_CHUNKS)
            and 2 * chunks * (CHUNK_WORK + ADDING * sums) <= work * m
        ):
            chunks *= 2
        return chunks

    def run_rows(
        self, const double[::1] theta, const double[:, ::1] rows, double[:, ::1] values, double[:, ::1] each=None,
        double[::1] total=None, double[:, ::1] inputs=None, double[:, ::1] watched=None, list alarms=None,
    ):
        """Run m examples, whose numbers are the `rows`; `values` receives a row of outputs for each.

        Then, unless they are None, in the places that `want` was told: a row of `each` or of `inputs` for every example
        receives its derivatives, and `total` their sums over the examples. They must be 0 before. A row of `watched`
        receives an example's numbers in the watched slots. If a slot's number, or a gradient with respect to a leaf, is
        not finite, True is added to `alarms`.
        """
        cdef RowChunks* chunks
        cdef Py_ssize_t m = rows.shape[0], sums = total.shape[0] if total is not None else 0, n_chunks
        if theta.shape[0] != self.n_parameters or rows.shape[1] != self.n_inputs:
            raise ValueError(f"expected {self.n_parameters} parameters and rows of {self.n_inputs}")
        if values.shape[0] != m or values.shape[1] != self.n_outputs:
            raise ValueError(f"expected values ({m}, {self.n_outputs}), got ({values.shape[0]}, {values.shape[1]})")
        if self.n_watched and (watched is None or watched.shape[0] != m or watched.shape[1] != self.n_watched):
            raise ValueError(f"expected an array ({m}, {self.n_watched}) for watched numbers")
        if (each is not None and each.shape[0] != m) or (inputs is not None and inputs.shape[0] != m):
            raise ValueError(f"expected rows of derivatives for {m} examples")
        if m == 0:
            return
        n_chunks = self.n_chunks(m, sums, alarms is not None)
        # not on the stack, which helpers would lose if the interpreter ended here, in a daemon thread
        chunks = <RowChunks*>block(sizeof(RowChunks) + (n_chunks * sums if n_chunks > 1 else 0) * sizeof(double))
        try:
            memset(chunks, 0, sizeof(RowChunks))
            chunks.columns[EACH] = &each[0, 0] if each is not None and each.size else NULL
            chunks.columns[TOTAL] = &total[0] if sums else NULL
            chunks.columns[INPUTS] = &inputs[0, 0] if inputs is not None and inputs.size else NULL
            chunks.widths[EACH] = each.shape[1] if each is not None else 0
            chunks.widths[TOTAL] = sums
            chunks.widths[INPUTS] = inputs.shape[1] if inputs is not None else 0
            chunks.theta = &theta[0] if self.n_parameters else NULL
            chunks.rows = &rows[0, 0] if self.n_inputs else NULL
            chunks.values = &values[0, 0] if self.n_outputs else NULL
            chunks.watched = &watched[0, 0] if self.n_watched else NULL
            chunks.m, chunks.n_chunks = m, n_chunks
            chunks.backwards = each is not None or total is not None or inputs is not None
            chunks.alarming = alarms is not None
            chunks.areas = <double*>(chunks + 1)
            self.check_places(chunks)
            self.run_chunks(chunks)
            for c in range(n_chunks):
                if chunks.chunks[c].missing_row is not NULL:
                    raise ValueError(
                        f"lookup expected a row from 0 to {chunks.chunks[c].missing_row.z - 1}, "
                        f"got {chunks.chunks[c].wanted_row:.0f}"
                    )
            if chunks.chunks[0].alarmed:
                alarms.append(True)
        finally:
            PyMem_Free(chunks)

    cdef int check_places(self, RowChunks* chunks) except -1:
        """Whether all derivatives have a place in the arrays."""
        cdef Py_ssize_t j, k
        cdef Sweep* sweep
        for j in range(self.n_outputs if chunks.backwards else 0):
            sweep = self.sweeps + j
            for k in range(sweep.n_wanted):
                if chunks.columns[sweep.where[k]] is not NULL and sweep.at[k] >= chunks.widths[sweep.where[k]]:
                    raise ValueError(f"expected rows of more than {sweep.at[k]} derivatives, got {chunks.widths[sweep.where[k]]}")
        return 0

    cdef int run_chunks(self, RowChunks* chunks) except -1:
        cdef Py_ssize_t lanes = LANES if chunks.m >= FEW else 1, c, k
        cdef int threads = _threads.available(chunks.n_chunks), t
        cdef long forks
        cdef Rows twin
        cdef double* sums = chunks.columns[TOTAL]
        if self.busy:  # a signal handler or a finalizer calls what it interrupted, or another thread this executor
            twin = Rows(self)
            twin.share_rows(self)
            return twin.run_chunks(chunks)
        self.busy = True
        try:
            chunks.executors[0] = <void*>self
            self.begin(lanes)
            while len(self.twins) < threads - 1:
                twin = Rows(self)
                twin.share_rows(self)
                self.twins.append(twin)
            for t in range(1, threads):
                twin = self.twins[t - 1]
                twin.begin(lanes)
                chunks.executors[t] = <void*>twin
            chunks.n_blocks = (chunks.m + lanes - 1) // lanes
            chunks.between_looks = max(1, <Py_ssize_t>(BETWEEN_LOOKS / (self.work() * lanes)))
            if chunks.n_chunks == 1:
                self.run_row_chunk(chunks, 0, NULL)
                if chunks.stopped:
                    raise_as_set()
                return 0
            forks = _threads.forks()
            _threads.run_parts(run_one_chunk_of_rows, chunks, chunks.n_chunks, threads)
            if forks != _threads.forks():
                self.twins = []  # which were running when the process was forked, and are in the middle of it for good
            for c in range(chunks.n_chunks if sums is not NULL else 0):
                for k in range(chunks.widths[TOTAL]):
                    sums[k] += chunks.areas[c * chunks.widths[TOTAL] + k]
        except:
            self.lanes = 0  # gradients can be left over in the memory, so it is allocated again
            self.twins = []
            raise
        finally:
            self.busy = False
        return 0

    cdef int begin(self, Py_ssize_t lanes) except -1:
        """Have memory for so many lanes."""
        cdef double* memory
        cdef Py_ssize_t k
        self.make_memory(lanes)
        if self.deferred and self.marks is NULL:
            self.marks = <char*>block(self.n_slots)
            memset(self.marks, 0, self.n_slots)
            for k in range(self.n_all_leaves):
                self.marks[self.all_leaves[k]] = 2
        if self.written is NULL:
            self.make_room_for_bits()
        if self.n_tangents and self.tangent_lanes != lanes:
            memory = <double*>block((self.n_slots + self.n_partials + self.n_found) * lanes * sizeof(double))
            PyMem_Free(self.tangent_memory)
            self.tangent_memory, self.tangent_lanes = memory, lanes
        return 0

    cdef void run_row_chunk(self, RowChunks* chunks, Py_ssize_t c, _threads.Turn* turn) noexcept nogil:
        cdef Py_ssize_t first = chunks.n_blocks * c // chunks.n_chunks
        cdef Py_ssize_t last = chunks.n_blocks * (c + 1) // chunks.n_chunks, b, i, k
        cdef double* columns[3]
        cdef bint alarmed = False
        memcpy(columns, chunks.columns, sizeof(columns))
        if chunks.n_chunks > 1 and columns[TOTAL] is not NULL:
            columns[TOTAL] = chunks.areas + c * chunks.widths[TOTAL]
            memset(columns[TOTAL], 0, chunks.widths[TOTAL] * sizeof(double))
        self.missing_row, self.wanted_row = NULL, 0.0
        for k in range(self.n_parameters):
            for i in range(self.lanes):
                self.v[k * self.lanes + i] = chunks.theta[k]
        for b in range(first, last):
            if (b - first) % chunks.between_looks == 0:
                if turn is not NULL:
                    if not _threads.goes_on(turn):
                        return
                else:
                    with gil:
                        chunks.stopped = check_signals() < 0
                    if chunks.stopped:
                        return
            alarmed |= self.run_row_block(chunks, columns, b * self.lanes)
        chunks.chunks[c].missing_row, chunks.chunks[c].wanted_row = self.missing_row, self.wanted_row
        chunks.chunks[c].alarmed = alarmed

    cdef bint run_row_block(self, RowChunks* chunks, double** columns, Py_ssize_t start) noexcept nogil:
        """As many examples as there are lanes, or fewer; whether a number may not be finite."""
        cdef Py_ssize_t lanes = self.lanes, n = min(lanes, chunks.m - start), i, j, k
        cdef Py_ssize_t n_inputs = self.n_inputs, n_outputs = self.n_outputs
        cdef double* v = self.v
        cdef double* inputs = v + self.n_parameters * lanes
        cdef double* output
        cdef double* values = chunks.values + start * n_outputs
        cdef const double* rows = chunks.rows + start * n_inputs
        cdef bint alarmed
        for k in range(n_inputs):
            for i in range(n):
                inputs[k * lanes + i] = rows[i * n_inputs + k]
            for i in range(n, lanes):  # the last example fills the lanes beyond it
                inputs[k * lanes + i] = rows[(n - 1) * n_inputs + k]
        if lanes == 1:
            self.forward_one()
        else:
            self.forward_lanes()
        alarmed = chunks.alarming and not all_finite(v, self.n_slots * lanes)
        for j in range(n_outputs):
            output = v + self.outputs[j] * lanes
            for i in range(n):
                values[i * n_outputs + j] = output[i]
        for i in range(n):
            for k in range(self.n_watched):
                chunks.watched[(start + i) * self.n_watched + k] = v[self.watched[k] * lanes + i]
        if chunks.backwards and not (
            self.n_tangents and self.sweep_forwards(n, start, columns, chunks.widths, self.tangent_memory)
        ):
            alarmed |= self.sweep_backwards(n, start, columns, chunks.widths, chunks.alarming)
        return alarmed

    cdef bint sweep_backwards(
        self, Py_ssize_t n, Py_ssize_t start, double** columns, Py_ssize_t* widths, bint alarming
    ) noexcept nogil:
        """Put the derivatives of the n examples in the memory where they belong; whether one may not be finite."""
        cdef Py_ssize_t i, j, k, at, lanes = self.lanes
        cdef double* d = self.d
        cdef double* its
        cdef double* out
        cdef double sum_of_lanes
        cdef Sweep* sweep
        cdef bint alarmed = False
        for j in range(self.n_outputs):
            sweep = self.sweeps + j
            if sweep.n_wanted == 0:
                continue
            self.back = self.back_of(sweep)
            self.by_choice, self.has_choices = sweep.by_choice, sweep.has_choices
            if sweep.has_choices:
                memset(self.chosen, 0, self.n_slots * lanes)
            for i in range(n):
                d[self.outputs[j] * lanes + i] = 1.0
            if lanes == 1:
                self.backward_one()
            else:
                self.backward_lanes()
            for k in range(sweep.n_wanted):
                its = d + sweep.slots[k] * lanes
                out = columns[sweep.where[k]]
                if out is NULL:
                    continue
                if sweep.where[k] == TOTAL:
                    sum_of_lanes = 0.0
                    for i in range(n):
                        sum_of_lanes += its[i]
                    out[sweep.at[k]] += sum_of_lanes
                    continue
                at = start * widths[sweep.where[k]] + sweep.at[k]
                for i in range(n):
                    out[at + i * widths[sweep.where[k]]] = its[i]
            for k in range(sweep.n_leaves):
                its = d + sweep.leaves[k] * lanes
                if alarming and not all_finite(its, lanes):
                    alarmed = True
                memset(its, 0, lanes * sizeof(double))
        return alarmed

    cdef inline bint find_partials(self, Instruction* step, double* partials) noexcept nogil:
        """The partial derivatives of one example's step, as `backward_one` adds them; False for an unusual one."""
        cdef double* v = self.v
        if step.x == step.y:
            return False
        if step.code == _ops.MULTIPLY:
            partials[0], partials[1] = v[step.y], v[step.x]
        elif step.code == _ops.ADD:
            partials[0] = partials[1] = 1.0
        elif step.code == _ops.SUBTRACT:
            partials[0], partials[1] = 1.0, -1.0
        else:
            return False
        return True

    cdef bint sweep_forwards(
        self, Py_ssize_t n, Py_ssize_t start, double** columns, Py_ssize_t* widths, double* memory
    ) noexcept nogil:
        """The same forwards; False, with nothing done, if a derivative is not finite: the way back is the engine's."""
        cdef Py_ssize_t i, j, k, s, e, lanes = self.lanes, found = 0
        cdef double* t = memory
        cdef double* partials = t + self.n_slots * lanes
        cdef double* derivatives = partials + self.n_partials * lanes
        cdef double* d = self.d
        cdef double* p
        cdef double* x
        cdef double* out
        cdef double total
        cdef Instruction* step
        cdef Tangent* tangent
        cdef Edge* edge
        cdef int* chosen
        cdef int former
        cdef bint is_first
        self.n_back, self.has_choices = 1, False
        for s in range(self.n_all_back):
            step = self.steps + self.all_back[s]
            if step.code == LOOKUP or (lanes == 1 and self.find_partials(step, partials + self.first_partial[s])):
                continue
            for i in range(lanes):
                d[step.out * lanes + i] = 1.0
            self.back = self.all_back + s
            if lanes == 1:
                self.backward_one()
            else:
                self.backward_lanes()
            for k in range(3):
                if has_gradient(step, k) and not self.is_repeated(step, k):
                    x = d + operand(step, k) * lanes
                    memcpy(partials + (self.first_partial[s] + k) * lanes, x, lanes * sizeof(double))
                    memset(x, 0, lanes * sizeof(double))
        for j in range(self.n_tangents):
            tangent = self.tangents + j
            if self.looks_up:
                memset(t, 0, self.n_slots * lanes * sizeof(double))  # of rows that do not depend on the leaf
            for i in range(lanes):
                t[tangent.slot * lanes + i] = 1.0
            chosen = NULL if tangent.bits is NULL else self.edges_of(tangent)
            former = -1
            for e in range(tangent.n_edges):
                edge = tangent.edges + e if chosen is NULL else self.edges + chosen[e]
                is_first, former = edge.out != former, edge.out
                if lanes == 1 and edge.partial >= 0 and not edge.careful:
                    total = partials[edge.partial] * t[edge.x]
                    t[edge.out] = total if is_first else t[edge.out] + total
                    continue
                out = t + edge.out * lanes
                if edge.partial < 0:
                    step = self.steps + edge.x
                    for i in range(lanes):
                        out[i] = t[self.row(step, self.v[step.x * lanes + i]) * lanes + i]
                    continue
                x = t + edge.x * lanes
                p = partials + edge.partial * lanes
                if edge.careful:
                    for i in range(lanes):
                        if p[i] == 0.0 and not isfinite(x[i]):  # 0·∞ further down, 0 further up
                            return False
                        total = p[i] * x[i] if p[i] != 0.0 else 0.0
                        out[i] = total if is_first else out[i] + total
                elif is_first:
                    lanes_multiply(out, p, x)
                else:
                    lanes_add_product(out, p, x)
            for k in range(tangent.n_wanted):
                out = t + self.outputs[tangent.outputs[k]] * lanes
                memcpy(derivatives + found * lanes, out, lanes * sizeof(double))
                found += 1
                for i in range(n):
                    if not isfinite(out[i]):
                        return False
        found = 0
        for j in range(self.n_tangents):
            tangent = self.tangents + j
            for k in range(tangent.n_wanted):
                x = derivatives + found * lanes
                found += 1
                out = columns[tangent.where[k]]
                if out is NULL:
                    continue
                if tangent.where[k] == TOTAL:
                    total = 0.0
                    for i in range(n):
                        total += x[i]
                    out[tangent.at[k]] += total
                    continue
                for i in range(n):
                    out[(start + i) * widths[tangent.where[k]] + tangent.at[k]] = x[i]
        return True


cdef object zeros = np.zeros


cdef class QuickRows(Quick):
    """The same as `Quick` for values and derivatives of each example, or those of several outputs.

    Values alone without `backwards`: then they are always those of each example.
    """

    cdef Rows rows
    cdef const long long[::1] direct  # the parameters that the program reads
    cdef tuple shape  # of what the function returns
    cdef bint by_example, backwards
    cdef object reduced  # from values of all examples and sums of derivatives, and how many, to what is returned
    cdef Py_ssize_t n_each  # derivatives of an example
    cdef Py_ssize_t n_inputs  # of an output with respect to what is looked up and to the arguments, that are kept
    cdef const long long[::1] table  # of all lookups, one after the other: parameters
    cdef const long long[:, ::1] lookups  # of each where its table starts, how long it is, and which column has the row

    def __init__(
        self, Rows rows, parameters, tuple shapes, dict chosen, tuple places, tuple integer, bint wrt_inputs, direct,
        tuple shape, bint by_example, bint backwards, table, lookups, reduced,
    ):
        """`chosen` has None for the numbers of examples that the rows run."""
        Quick.__init__(self, None, parameters, shapes, -1, places, integer, chosen, wrt_inputs)
        self.rows, self.direct, self.shape, self.by_example = rows, direct, shape, by_example
        self.backwards, self.table, self.lookups, self.reduced = backwards, table, lookups, reduced
        self.n_each = rows.n_outputs * len(parameters)
        self.n_inputs = rows.n_inputs if wrt_inputs else len(lookups)

    cdef inline long long chosen(self, const double* row, Py_ssize_t g) noexcept:
        """The parameter that an example looks up; −1 if there is none."""
        cdef double wanted = row[self.lookups[g, 2]]
        return self.table[self.lookups[g, 0] + <Py_ssize_t>wanted] if 0.0 <= wanted < self.lookups[g, 1] else -1

    cdef object run(self, Call* call, tuple arrays, Py_ssize_t m, ArrayFields* parameters):
        cdef Rows rows = self.rows
        cdef Py_ssize_t k = rows.n_outputs, n = rows.n_inputs, a, c, i, j, start = 0, width, which
        cdef Py_ssize_t p = self.direct.shape[0], n_gradients = m * k * self.n_inputs, g, n_lookups = self.lookups.shape[0]
        cdef RowChunks* chunks
        cdef double* theta
        cdef double* inputs
        cdef double* d
        cdef long long at
        cdef tuple batch = (m,) if self.by_example else ()
        cdef bint reduces = m > 1 and not self.by_example
        cdef Py_ssize_t n_chunks = rows.n_chunks(m, 0 if self.by_example else self.n_each, False), n_areas
        cdef list gradients = []
        if (self.backwards and self.others.get(m, False) is not None) or p != rows.n_parameters:
            return None
        if k * parameters.shape[0] != self.n_each:  # somebody resized them
            return None
        if reduces and n_lookups:
            return None
        n_areas = 0 if self.by_example or n_chunks == 1 else n_chunks * self.n_each
        chunks = <RowChunks*>block(sizeof(RowChunks) + (n_areas + p + m * n + n_gradients) * sizeof(double))
        try:
            memset(chunks, 0, sizeof(RowChunks))
            chunks.areas = <double*>(chunks + 1)
            theta = chunks.areas + n_areas
            for i in range(p):
                theta[i] = (<double*>parameters.data)[self.direct[i]]
            for a in range(self.n_arrays):
                width = call.widths[a]
                for i in range(m):
                    memcpy(theta + p + i * n + start, call.rows[a] + i * width, width * sizeof(double))
                start += width
            if start + n_lookups != n:
                return None
            for i in range(m):
                for g in range(n_lookups):
                    at = self.chosen(theta + p + i * n, g)
                    if at < 0:
                        return None
                    theta[p + i * n + start + g] = (<double*>parameters.data)[at]
            inputs = theta + p + m * n
            memset(inputs, 0, n_gradients * sizeof(double))
            values = empty((m,) + self.shape if reduces else batch + self.shape)
            chunks.values = <double*>(<ArrayFields*><PyObject*>values).data
            chunks.theta, chunks.rows, chunks.m, chunks.n_chunks = theta, theta + p, m, n_chunks
            chunks.backwards = self.backwards
            if self.backwards:
                jacobian = zeros(batch + self.shape + (parameters.shape[0],))
                d = <double*>(<ArrayFields*><PyObject*>jacobian).data
                which = EACH if self.by_example else TOTAL
                chunks.columns[which], chunks.widths[which] = d if self.n_each else NULL, self.n_each
                chunks.columns[INPUTS] = inputs if n_gradients else NULL
                chunks.widths[INPUTS] = k * self.n_inputs
            rows.check_places(chunks)
            rows.run_chunks(chunks)
            for c in range(n_chunks):
                if chunks.chunks[c].missing_row is not NULL:
                    return None
            if not self.backwards:
                return values
            for g in range(n_lookups):
                for i in range(m):
                    at = self.chosen(theta + p + i * n, g)
                    for j in range(k):
                        d[(i * k + j) * parameters.shape[0] + at] += inputs[(i * k + j) * self.n_inputs + g]
            if not self.wrt_inputs:
                return self.reduced(values, jacobian, m) if reduces else (values, jacobian)
            start = n_lookups
            for a in range(self.n_arrays):
                width = call.widths[a]
                if width and (not self.integer or (<tuple>self.integer)[a] is not True):
                    gradient = empty((m,) + self.shape + <tuple>(<tuple>self.shapes)[a])
                    d = <double*>(<ArrayFields*><PyObject*>gradient).data
                    for j in range(m * k):
                        memcpy(d + j * width, inputs + j * self.n_inputs + start, width * sizeof(double))
                    gradients.append(gradient)
                elif width:
                    gradients.append(None)
                start += width
            return self.reduced(values, jacobian, m, gradients) if reduces else (values, jacobian, gradients)
        finally:
            PyMem_Free(chunks)


def add_matrices(
    double[:, ::1] both, Py_ssize_t n, const long long[:, ::1] rows, const long long[:, ::1] columns,
    const double[:, :, ::1] numbers,
):
    """To each row of `both`, in columns[b], add that row's columns n + rows[b] times the matrix numbers[b]."""
    cdef Py_ssize_t e, b, i, j, p = rows.shape[1], q = columns.shape[1]
    cdef double d
    cdef double* row
    cdef const double* matrix
    cdef const long long* at
    if both.shape[0] == 0 or rows.shape[0] == 0:
        return
    with nogil:
        for e in range(both.shape[0]):
            row = &both[e, 0]
            for b in range(rows.shape[0]):
                at = &columns[b, 0]
                for i in range(p):
                    d = row[n + rows[b, i]]
                    matrix = &numbers[b, i, 0]
                    for j in range(q):
                        row[at[j]] += d * matrix[j]
