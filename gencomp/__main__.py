"""``python -m gencomp``: the command line."""

from gencomp.cli.start import main

if __name__ == "__main__":
    main()
