"""Damaged copies of nested dicts and lists, such as the header of a file."""

import copy


def places(thing, at=()):
    """The place of everything in nested dicts and lists."""
    yield at
    for key, below in thing.items() if isinstance(thing, dict) else enumerate(thing) if isinstance(thing, list) else ():
        yield from places(below, (*at, key))


def mutants(thing, pool, in_dicts):
    """Every copy in which one thing is one of `pool` instead, is missing, or is there twice.

    in_dicts  what is done to a dict instead of the last: "twice", or "another name"
    """
    for *above, last in filter(None, places(thing)):
        for change in [*pool, "missing", in_dicts]:
            mutant = copy.deepcopy(thing)
            owner = mutant
            for key in above:
                owner = owner[key]
            if change == "missing":
                del owner[last]
            elif change == in_dicts and isinstance(owner, list):
                owner.append(owner[last])
            elif change == in_dicts:
                owner["other"] = owner[last] if in_dicts == "twice" else owner.pop(last)
            else:
                owner[last] = change
            yield mutant
