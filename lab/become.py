"""Becomes a program, by its caller's words, environment and folder: the last step of `lab exec`.

Run by path as the caller's user, with the number of a file that has all three as JSON. An argument would
show the environment to every user of the machine, and a shell would not take every name over.
"""

import json
import os
import sys


def main(file: int) -> None:
    """Does not return: 127 where there is no such program, 126 where it cannot be run, as in a shell."""
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
