"""The system call filter for what runs in the sandbox. Owns which calls are refused and their numbers.

Bubblewrap already removes every capability; this closes what needs none: set-uid bits in the worktree (as systemd's
RestrictSUIDSGID does it), new user namespaces, keyrings, and kernel interfaces that ordinary programs never use.
"""

import errno
import platform
import struct
import sys

_SUID_BITS = 0o6000
_CREATES = 0o100 | 0o20000000
"""O_CREAT and O_TMPFILE: without one of them, open has no mode."""
_NAMESPACES = 0x7E020080
"""All CLONE_NEW* flags."""
_NEW_USER = 0x10000000
_TERMINAL_INPUT = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX type into the user's terminal."""
_FAMILIES = (1, 2, 10, 16)
"""Sockets that may be created: unix, IPv4, IPv6, netlink (name lookups ask it for the interfaces)."""

_Step = tuple[int, int, int, int]
_LD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NR, _ARCH = 0, 4

_ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000

# fmt: off
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "open": (2, None), "creat": (85, None), "openat": (257, 56), "openat2": (437, 437),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "mknod": (133, None), "mknodat": (259, 33),
    "socket": (41, 198), "ioctl": (16, 29), "clone": (56, 220), "clone3": (435, 435), "unshare": (272, 97),
    "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "open_tree_attr": (467, 467),
    "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "acct": (163, 89), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "iopl": (172, None), "ioperm": (173, None), "syslog": (103, 116),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262), "lookup_dcookie": (212, 18), "memfd_secret": (447, 447),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
}
"""Numbers on x86_64 and on aarch64."""
_REFUSED = (
    "setns", "mount", "umount2", "pivot_root", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick",
    "mount_setattr", "open_tree_attr", "swapon", "swapoff", "reboot", "acct", "quotactl", "quotactl_fd", "kexec_load",
    "kexec_file_load", "init_module", "finit_module", "delete_module", "iopl", "ioperm", "syslog", "bpf",
    "perf_event_open", "open_by_handle_at", "fanotify_init", "lookup_dcookie",
)
_ABSENT = ("openat2", "clone3", "io_uring_setup", "io_uring_enter", "io_uring_register", "add_key", "request_key",
           "keyctl", "userfaultfd", "memfd_secret")
"""Refused as if the kernel lacked them, so that programs use the older calls: what openat2 and clone3 are asked for
is in memory, which no filter can read."""
_MODES = (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("fchmodat2", 2), ("creat", 1), ("mknod", 1), ("mknodat", 2))
"""Calls with the argument that is a mode."""
# fmt: on


def seccomp_filter(machine: str | None = None) -> bytes | None:
    """The filter as the kernel accepts it; `None` when its numbers are not known here.

    Args:
        machine: As `platform.machine()` names it; this one when `None`.
    """
    name = platform.machine() if machine is None else machine
    if name not in _ARCHES or sys.byteorder != "little":
        return None
    column = tuple(_ARCHES).index(name)
    program = _program(_ARCHES[name], column)
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def _program(arch: int, column: int) -> list[_Step]:
    known = {name: numbers[column] for name, numbers in _NUMBERS.items() if numbers[column] is not None}
    program = [(_LD, 0, 0, _ARCH), (_JEQ, 1, 0, arch), _refuse(errno.ENOSYS), (_LD, 0, 0, _NR)]
    if column == 0:
        program += [(_JGE, 0, 1, _X32), _refuse(errno.ENOSYS)]
    for name, place in (("open", 1), ("openat", 2)):
        program += _call(known.get(name), _when_creating(place))
    program += _call(known["ioctl"], _when_among(1, _TERMINAL_INPUT, _refuse(errno.EPERM), _allow()))
    for name, argument in _MODES:
        program += _call(known.get(name), _with_bits(argument, _SUID_BITS))
    program += _call(known["clone"], _with_bits(0, _NEW_USER))
    program += _call(known["unshare"], _with_bits(0, _NAMESPACES))
    program += _call(known["socket"], _when_among(0, _FAMILIES, _allow(), _refuse(errno.EAFNOSUPPORT)))
    for names, code in ((_REFUSED, errno.EPERM), (_ABSENT, errno.ENOSYS)):
        for name in names:
            program += _call(known.get(name), [_refuse(code)])
    return [*program, _allow()]


def _call(number: int | None, body: list[_Step]) -> list[_Step]:
    """A block for one call, which must return; nothing on a machine that has no such call."""
    return [] if number is None else [(_JEQ, 0, len(body), number), *body]


def _when_creating(flags: int) -> list[_Step]:
    return [_load(flags), (_JSET, 0, 3, _CREATES), _load(flags + 1), (_JSET, 0, 1, _SUID_BITS),
            _refuse(errno.EPERM), _allow()]  # fmt: skip


def _with_bits(argument: int, bits: int) -> list[_Step]:
    return [_load(argument), (_JSET, 0, 1, bits), _refuse(errno.EPERM), _allow()]


def _when_among(argument: int, values: tuple[int, ...], then: _Step, otherwise: _Step) -> list[_Step]:
    tests = [(_JEQ, len(values) - index, 0, value) for index, value in enumerate(values)]
    return [_load(argument), *tests, otherwise, then]


def _load(argument: int) -> _Step:
    """The lower half of an argument, which is all the kernel checks in modes, flags and commands."""
    return (_LD, 0, 0, 16 + 8 * argument)


def _refuse(code: int) -> _Step:
    return (_RET, 0, 0, _ERRNO | code)


def _allow() -> _Step:
    return (_RET, 0, 0, _ALLOW)
