"""Operations of the user's own: `primitive` adds a function and its derivative to the table of operations.

`primitive.py` makes the row, `derivative.py` calls the derivative with numbers or records it with Values, and
`trial.py` compares it with the nudge before the row is added.
"""
