# SPDX-License-Identifier: Apache-2.0
"""Random trees and random deeds of a tool in them. operate() is also given to a tool as its program, so that this file
needs nothing but the standard library."""
import os
import random
import stat
import sys

OWN = (b"secret", b".git", b".envrc")  # what the profile keeps from the tool, which sees placeholders of that name
NAMES = [b"a", b"b", b"c", b"d", b"e", b"-rf", b"with space", b"(was a)", b"new\nline", b"\xff\xfe", b"\xe2\x80\xae.c",
         b"tab\t", b"\\", b"\"", b"...", b"*", b"$HOME", b"x" * 255, b".hidden", b"user.overlay.x"]
FILE_MODES = (0o644, 0o600, 0o755, 0o444, 0o666, 0o400)
DIRECTORY_MODES = (0o755, 0o700, 0o777, 0o555, 0o500, 0o1777)
CLOSED = (0o300, 0o000, 0o100, 0o200)
ATTRIBUTES = (b"user.one", b"user.two", b"user.overlays")
ATTEMPTS = 40


def content(rng):
    size = rng.choice((0, 1, 7, 7, 7, 100, 4096, 5000, 70000))
    return bytes([rng.randrange(256)]) * size


def put(path, rng, data=None):
    """A file with a time of its own: the clock must not say what is the same."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o600)
    os.write(fd, content(rng) if data is None else data)
    os.close(fd)
    os.utime(path, ns=(0, rng.randrange(10 ** 18)))


def fill(top, rng):
    """A tree as a workspace may be."""
    directories, files = [top], []
    for _ in range(rng.randrange(3, 40)):
        path = rng.choice(directories) + b"/" + rng.choice(NAMES)
        if os.path.lexists(path) or len(path) > 3000:
            continue
        kind = rng.randrange(10)
        if kind < 3:
            os.mkdir(path)
            directories.append(path)
        elif kind < 4:
            os.symlink(rng.choice((b"a", b"..", b"/etc/passwd", b"nowhere", b"../" * 9)), path)
        elif kind < 5 and files:
            os.link(rng.choice(files), path)
        else:
            put(path, rng)
            if rng.randrange(4) == 0:
                os.setxattr(path, rng.choice(ATTRIBUTES), b"v")
            os.chmod(path, rng.choice(FILE_MODES))
            files.append(path)
    for path in directories[1:]:
        os.chmod(path, rng.choice(DIRECTORY_MODES))


def tree(top):
    """Each path beneath top in order, as far as it can be reached, with its type."""
    try:
        names = sorted(os.listdir(top))
    except OSError:
        return
    for name in names:
        path = top + b"/" + name
        if top == b"." and name in OWN:
            continue
        try:
            kind = stat.S_IFMT(os.lstat(path).st_mode)
        except OSError:
            continue
        yield path, kind
        if kind == stat.S_IFDIR:
            yield from tree(path)


class Tool:
    """What it does is the same wherever it runs; how it went is said line by line."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        # No overlay moves a directory that was there before; held open, it keeps its number for itself. Of a file that
        # gets a second name, it shows the modes of both apart for as long as it remembers them.
        self.held = [os.open(path, os.O_PATH | os.O_NOFOLLOW) for path, _ in tree(b".")]
        self.theirs = {os.fstat(fd).st_ino for fd in self.held}

    def pick(self, *kinds):
        found = [path for path, kind in tree(b".") if kind in kinds]
        return self.rng.choice(found) if found else None

    def place(self):
        """A name in a directory, that may be there."""
        where = [b"."] + [path for path, kind in tree(b".") if kind == stat.S_IFDIR and len(path) < 2000]
        return self.rng.choice(where) + b"/" + self.rng.choice(NAMES)

    def remove(self, path):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            os.chmod(path, 0o700)
            for name in sorted(os.listdir(path)):
                self.remove(path + b"/" + name)
            os.rmdir(path)
        else:
            os.unlink(path)

    def copy(self, path, to):
        st = os.lstat(path)
        if stat.S_ISDIR(st.st_mode):
            os.mkdir(to, 0o700)
            for name in sorted(os.listdir(path)):
                self.copy(path + b"/" + name, to + b"/" + name)
            os.chmod(to, stat.S_IMODE(st.st_mode))
        elif stat.S_ISLNK(st.st_mode):
            os.symlink(os.readlink(path), to)
        elif stat.S_ISREG(st.st_mode):
            with open(path, "rb") as file:
                put(to, self.rng, file.read())
            os.chmod(to, stat.S_IMODE(st.st_mode))

    # ---- deeds ----

    def make(self):
        put(self.place(), self.rng)

    def make_directory(self):
        os.mkdir(self.place())

    def make_link(self):
        os.symlink(self.rng.choice((b"a", b"../b", b"/", b"/etc/shadow", b"../" * 12 + b"etc")), self.place())

    def make_pipe(self):
        os.mkfifo(self.place())

    def append(self):
        path = self.pick(stat.S_IFREG)
        with open(path, "ab") as file:
            file.write(b"more")
        os.utime(path, ns=(0, self.rng.randrange(10 ** 18)))

    def write_back(self):
        """As it was."""
        path = self.pick(stat.S_IFREG)
        before = os.stat(path).st_mtime_ns
        with open(path, "rb") as file:
            data = file.read()
        with open(path, "wb") as file:
            file.write(data)
        os.utime(path, ns=(0, before))

    def touch(self):
        os.utime(self.pick(stat.S_IFREG), ns=(0, self.rng.randrange(10 ** 18)))

    def delete(self):
        self.remove(self.pick(stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO))

    def rename(self):
        path, to = self.pick(stat.S_IFREG, stat.S_IFLNK, stat.S_IFIFO), self.place()
        os.rename(path, to)

    def rename_directory(self):
        path, to = self.pick(stat.S_IFDIR), self.place()
        if (to + b"/").startswith(path + b"/"):
            return
        if os.lstat(path).st_ino in self.theirs:
            self.copy(path, to)
            self.remove(path)
        else:
            os.rename(path, to)

    def mode(self):
        path, rng = self.pick(stat.S_IFREG, stat.S_IFDIR), self.rng
        modes = DIRECTORY_MODES if os.path.isdir(path) else FILE_MODES
        os.chmod(path, rng.choice(CLOSED if rng.randrange(12) == 0 else modes))

    def mode_of_all(self):
        os.chmod(b".", self.rng.choice((0o755, 0o755, 0o700, 0o777)))

    def link(self):
        path, to = self.pick(stat.S_IFREG), self.place()
        if os.lstat(path).st_ino not in self.theirs:
            os.link(path, to, follow_symlinks=False)

    def attribute(self):
        os.setxattr(self.pick(stat.S_IFREG), self.rng.choice(ATTRIBUTES), self.rng.choice((b"v", b"w", b"")))

    def no_attribute(self):
        os.removexattr(self.pick(stat.S_IFREG), self.rng.choice(ATTRIBUTES))

    def directory_to_file(self):
        path = self.pick(stat.S_IFDIR)
        self.remove(path)
        put(path, self.rng)
        if self.rng.randrange(2):
            os.unlink(path)
            os.mkdir(path)

    def file_to_directory(self):
        path = self.pick(stat.S_IFREG, stat.S_IFLNK)
        os.unlink(path)
        os.mkdir(path)
        put(path + b"/a", self.rng)
        if self.rng.randrange(2):
            self.remove(path)
            put(path, self.rng)

    def another_directory(self):
        path = self.pick(stat.S_IFDIR)
        kept = path + b"." if len(path) < 200 else b"./kept"
        self.copy(path, kept)
        self.remove(path)
        os.rename(kept, path)

    def into_closed(self):
        """As package managers do."""
        path = self.pick(stat.S_IFDIR)
        mode = stat.S_IMODE(os.stat(path).st_mode)
        os.chmod(path, 0o700)
        try:
            put(path + b"/" + self.rng.choice(NAMES), self.rng)
        finally:
            os.chmod(path, mode)


DEEDS = [Tool.make] * 5 + [Tool.delete] * 3 + [Tool.rename, Tool.append] * 3 + [
    Tool.make_directory, Tool.make_directory, Tool.make_link, Tool.make_pipe, Tool.write_back, Tool.touch,
    Tool.rename_directory, Tool.rename_directory, Tool.mode, Tool.mode, Tool.mode, Tool.mode_of_all, Tool.link,
    Tool.link, Tool.attribute, Tool.no_attribute, Tool.directory_to_file, Tool.file_to_directory,
    Tool.another_directory, Tool.into_closed]


def operate(seed, links):
    """links: whether files get more names. Those that have some in the workspace are known by no number."""
    tool = Tool(seed)
    deeds = [deed for deed in DEEDS if links or deed is not Tool.link]
    for _ in range(tool.rng.randrange(1, ATTEMPTS)):
        deed, then = tool.rng.choice(deeds), tool.rng.randrange(2 ** 32)
        try:
            deed(tool)
            how = "done"
        except (OSError, TypeError) as error:  # TypeError: there is none to do it to
            how = getattr(error, "strerror", "nothing")
        tool.rng.seed(then)
        print(deed.__name__, how)


if __name__ == "__main__":
    os.umask(0o022)
    operate(int(sys.argv[1]), sys.argv[2] == "links")
