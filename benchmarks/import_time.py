"""`import tinygrad_scalar` in a fresh interpreter, less the interpreter's own start; see README.md."""

import statistics
import subprocess
import sys
import time


def seconds(statement):
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def main():
    pairs = [(seconds("pass"), seconds("import tinygrad_scalar")) for _ in range(11)]
    print(f"{1e3 * statistics.median(with_import - bare for bare, with_import in pairs):.0f} ms")


if __name__ == "__main__":
    main()
