"""Run the command line from a checkout: ``python cli.py sample --compressor gzip``."""

from gencomp.cli.start import main

if __name__ == "__main__":
    main()
