"""Replaces itself with a program, with the caller's arguments, environment and folder: the end of `lab exec`.

It is run by path as the caller's user; its argument is the number of an open file that has all three as JSON.
On the command line, every user could see the environment, and a shell would not accept every variable name.
"""

import json
import os
import sys


def main(file: int) -> None:
    """Does not return. As in a shell, exits with 127 if there is no such program, 126 if it cannot be run."""
    with open(file, encoding="utf-8") as request:
        wanted = json.load(request)
    program, *_ = argv = wanted["argv"]
    try:
        os.chdir(wanted["cwd"])
        os.execvpe(program, argv, wanted["environment"])
    except OSError as error:
        print(f"{program}: {error.strerror}", file=sys.stderr)
        sys.exit(127 if isinstance(error, FileNotFoundError) else 126)


if __name__ == "__main__":
    main(int(sys.argv[1]))
