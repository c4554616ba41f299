"""A minimal engine to compare with: slots instead of a dict, local gradients stored in the forward pass (the design of
microgpt), and a recursive topological sort. It has what the two-moons demo and a small language model need."""

import math


class Value:
    __slots__ = ("data", "grad", "local_grads", "operands")

    def __init__(self, data, operands=(), local_grads=()):
        self.data = data
        self.grad = 0.0
        self.operands = operands
        self.local_grads = local_grads

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, n):
        return Value(self.data**n, (self,), (n * self.data ** (n - 1),))

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + (-other)

    def __rsub__(self, other):
        return other + (-self)

    def __truediv__(self, other):
        return self * other**-1

    def exp(self):
        data = math.exp(self.data)
        return Value(data, (self,), (data,))

    def log(self):
        return Value(math.log(self.data), (self,), (1.0 / self.data,))

    def relu(self):
        return Value(max(0.0, self.data), (self,), (float(self.data > 0.0),))

    __radd__ = __add__
    __rmul__ = __mul__

    def backward(self):
        order = []
        visited = set()

        def visit(node):
            if node not in visited:
                visited.add(node)
                for operand in node.operands:
                    visit(operand)
                order.append(node)

        visit(self)
        self.grad = 1.0
        for node in reversed(order):
            for operand, local_grad in zip(node.operands, node.local_grads):
                operand.grad += local_grad * node.grad
