"""Every equation, definition and procedure of the four notes, evaluated: `python -m tests.notes` writes their table."""
