"""Compile the loops, so that no two processes compile the same at once.

python tests/kernels.py     what comes after it finds them on disk
"""

import hilum


def main():
    """Make and assess a chest that is small, but has every kind of work in it."""
    settings = hilum.PhantomSettings(
        seed=5, shape=(30, 64, 64), spacing_mm=(5.0, 5.6, 5.6)
    )
    hilum.assess(hilum.make_phantom(settings).volume)


if __name__ == "__main__":
    main()
