"""Exchanges two names in one folder for each other until it is killed: exchanger.py FOLDER ONE OTHER."""

import ctypes
import os
import sys

RENAME_EXCHANGE = 2


def main() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    folder = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
    one, other = os.fsencode(sys.argv[2]), os.fsencode(sys.argv[3])
    print("exchanging", flush=True)
    while True:
        if libc.renameat2(folder, one, folder, other, RENAME_EXCHANGE) != 0:
            sys.exit(os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    main()
