"""What several files of tests share; the random programs and oracles are in programs.py."""
