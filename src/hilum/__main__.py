"""`python -m hilum` is the command `hilum`."""

from hilum.cli import entry_point

if __name__ == "__main__":
    entry_point()
