"""`python -m tinygrad_scalar` is the command line."""

import sys

from tinygrad_scalar.cli.main import main

sys.exit(main())
