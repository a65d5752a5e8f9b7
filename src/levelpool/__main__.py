"""`python -m levelpool` is the same as `levelpool`."""

from levelpool.cli import main

if __name__ == "__main__":
    main()
