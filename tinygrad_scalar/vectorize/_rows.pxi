# A scalar program of several outputs: the values of each example and the rows of its Jacobian. A block of examples runs
# forwards once, then backwards once for each output, through the steps that this output is computed from.

cdef struct Sweep:
    # the way back from one output
    int* back
    char* by_choice
    Py_ssize_t n_back
    bint has_choices
    int* leaves  # the slots without a step that it reaches
    Py_ssize_t n_leaves
    int* slots  # of these, the slots whose gradient is wanted; where[i] says in which array, at[i] where in a row of it
    int* where
    Py_ssize_t* at
    Py_ssize_t n_wanted


cdef enum:
    EACH, TOTAL, INPUTS


cdef class Rows(Executor):
    """An executor that runs `run_rows`, once `set_outputs` has said which slots are the outputs."""

    cdef Py_ssize_t n_outputs
    cdef int* outputs
    cdef Sweep* sweeps

    def set_outputs(self, outputs):
        """Find the way back from each output; returns for each what it reads: parameters and inputs, in order."""
        cdef Py_ssize_t s, j, k
        cdef int slot, entry
        cdef char how
        cdef Instruction* step
        cdef Sweep* sweep
        cdef int[::1] maker = np.full(self.n_slots, -1, np.int32)
        cdef char[::1] reached = np.zeros(self.n_slots, np.int8)
        cdef int[::1] steps
        cdef list found, todo, seen, every = []
        self.sweeps = <Sweep*>block(len(outputs) * sizeof(Sweep))
        memset(self.sweeps, 0, len(outputs) * sizeof(Sweep))
        self.n_outputs = len(outputs)
        self.outputs = <int*>block(self.n_outputs * sizeof(int))
        for s in range(self.n_steps):
            maker[self.steps[s].out] = <int>s
        for j in range(self.n_outputs):
            self.outputs[j] = outputs[j]
            found, seen, todo = [], [], [outputs[j]]
            while todo:
                slot = todo.pop()
                if reached[slot]:
                    continue
                reached[slot] = 1
                seen.append(slot)
                if maker[slot] < 0:
                    continue
                found.append(maker[slot])
                step = self.steps + maker[slot]
                if step.code == LOOKUP:
                    for k in range(step.z):
                        todo.append(self.tables[step.y + k])
                for k in range(3):
                    if step.code != LOOKUP and has_gradient(step, k):
                        todo.append(operand(step, k))
            steps = np.sort(np.array(found, np.int32))[::-1].copy()
            sweep = self.sweeps + j
            sweep.n_back = steps.shape[0]
            sweep.back = <int*>block(sweep.n_back * sizeof(int))
            sweep.by_choice = <char*>block(sweep.n_back)
            reached[self.outputs[j]] = 2
            for s in range(sweep.n_back):
                step = self.steps + steps[s]
                how = reached[step.out]
                sweep.back[s] = steps[s]
                sweep.by_choice[s] = how == 1  # through lookups alone
                sweep.has_choices |= how == 1
                for k in range(3):
                    if step.code != LOOKUP and has_gradient(step, k):
                        reached[operand(step, k)] = max(reached[operand(step, k)], how)
            leaves = sorted([slot for slot in seen if maker[slot] < 0])
            sweep.n_leaves = len(leaves)
            sweep.leaves = <int*>block(sweep.n_leaves * sizeof(int))
            for k in range(sweep.n_leaves):
                sweep.leaves[k] = leaves[k]
            every.append([slot for slot in leaves if slot < self.n_parameters + self.n_inputs])
            for slot in seen:
                reached[slot] = 0
        return every

    def want(self, Py_ssize_t j, slots, where, at):
        """Say which leaves of output j have a wanted gradient, and where it goes: see `run_rows`."""
        cdef Sweep* sweep = self.sweeps + j
        cdef Py_ssize_t k
        sweep.n_wanted = len(slots)
        sweep.slots = <int*>block(sweep.n_wanted * sizeof(int))
        sweep.where = <int*>block(sweep.n_wanted * sizeof(int))
        sweep.at = <Py_ssize_t*>block(sweep.n_wanted * sizeof(Py_ssize_t))
        for k in range(sweep.n_wanted):
            sweep.slots[k], sweep.where[k], sweep.at[k] = slots[k], where[k], at[k]

    def __dealloc__(self):
        cdef Py_ssize_t j
        for j in range(self.n_outputs):
            PyMem_Free(self.sweeps[j].back)
            PyMem_Free(self.sweeps[j].by_choice)
            PyMem_Free(self.sweeps[j].leaves)
            PyMem_Free(self.sweeps[j].slots)
            PyMem_Free(self.sweeps[j].where)
            PyMem_Free(self.sweeps[j].at)
        PyMem_Free(self.sweeps)
        PyMem_Free(self.outputs)

    @property
    def is_running(self):
        """Whether a signal handler asks, which interrupted this very program: it needs another one."""
        return self.busy

    def run_rows(
        self, const double[::1] theta, const double[:, ::1] rows, double[:, ::1] values, double[:, ::1] each=None,
        double[::1] total=None, double[:, ::1] inputs=None, double[:, ::1] watched=None, list alarms=None,
    ):
        """Run m examples, whose numbers are the `rows`; `values` receives a row of outputs for each.

        Then, unless they are None, in the places that `want` was told: a row of `each` or of `inputs` for every example
        receives its derivatives, and `total` their sums over the examples. They must be 0 before. `watched` and
        `alarms` are as in `run`.
        """
        cdef int* back = self.back
        cdef char* by_choice = self.by_choice
        cdef Py_ssize_t n_back = self.n_back
        cdef bint has_choices = self.has_choices, alarmed
        if theta.shape[0] != self.n_parameters or rows.shape[1] != self.n_inputs:
            raise ValueError(f"expected {self.n_parameters} parameters and rows of {self.n_inputs}")
        self.make_memory(LANES if rows.shape[0] >= FEW else 1)
        self.busy = True
        self.missing_row = NULL
        try:
            alarmed = self.run_row_blocks(theta, rows, values, each, total, inputs, watched, alarms is not None)
        except:
            self.lanes = 0  # gradients can be left over in the memory, so it is allocated again
            raise
        finally:
            self.back, self.by_choice, self.n_back, self.has_choices = back, by_choice, n_back, has_choices
            self.busy = False
        if self.missing_row is not NULL:
            raise ValueError(f"lookup expected a row from 0 to {self.missing_row.z - 1}, got {self.wanted_row:.0f}")
        if alarmed:
            alarms.append(True)

    cdef int run_row_blocks(
        self, const double[::1] theta, const double[:, ::1] rows, double[:, ::1] values, double[:, ::1] each,
        double[::1] total, double[:, ::1] inputs, double[:, ::1] watched, bint alarming,
    ) except -1:
        cdef Py_ssize_t lanes = self.lanes, m = rows.shape[0], start = 0, n, i, j, k, at, slot
        cdef double* v = self.v
        cdef double* d = self.d
        cdef double* its
        cdef double* out
        cdef double* columns[3]
        cdef Py_ssize_t widths[3]
        cdef double sum_of_lanes
        cdef Sweep* sweep
        cdef bint alarmed = False
        cdef bint backwards = each is not None or total is not None or inputs is not None
        columns[EACH] = &each[0, 0] if each is not None and each.size else NULL
        columns[TOTAL] = &total[0] if total is not None and total.size else NULL
        columns[INPUTS] = &inputs[0, 0] if inputs is not None and inputs.size else NULL
        widths[EACH] = each.shape[1] if each is not None else 0
        widths[INPUTS] = inputs.shape[1] if inputs is not None else 0
        for k in range(self.n_parameters):
            for i in range(lanes):
                v[k * lanes + i] = theta[k]
        while start < m:
            PyErr_CheckSignals()
            n = min(lanes, m - start)
            for k in range(self.n_inputs):
                slot = self.n_parameters + k
                for i in range(lanes):  # the last example fills the lanes beyond it
                    v[slot * lanes + i] = rows[start + min(i, n - 1), k]
            if lanes == 1:
                self.forward_one()
            else:
                self.forward_lanes()
            if alarming and not all_finite(v, self.n_slots * lanes):
                alarmed = True
            for i in range(n):
                for j in range(self.n_outputs):
                    values[start + i, j] = v[self.outputs[j] * lanes + i]
                for k in range(self.n_watched):
                    watched[start + i, k] = v[self.watched[k] * lanes + i]
            for j in range(self.n_outputs if backwards else 0):
                sweep = self.sweeps + j
                if sweep.n_wanted == 0:
                    continue
                self.back, self.n_back = sweep.back, sweep.n_back
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
            start += n
        return alarmed
