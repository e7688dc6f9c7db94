"""Loaded first by the fork server of steps: with its steps it leaves the process group of the terminal.

Ctrl-C then reaches the run's process alone, which tells each step once. A step that heard of it twice could end while
it was being told, and leave the run waiting for it for ever.
"""

import os

os.setpgid(0, 0)
