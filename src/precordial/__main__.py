"""``python -m precordial`` is the command ``precordial``."""

from precordial.cli import main

if __name__ == "__main__":
    main()
