"""`python -m commonweal` is the command line."""

from commonweal.cli import main

if __name__ == "__main__":
    main()
