"""The command line, `tinygrad-scalar COMMAND`: main.py has the table of commands, each in the file of its name."""
