#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants a violation of each rule in a small tree and wants the checker to name it, after the same tree
without it passed: planted.py TOOLS_DIR, prints TAP."""
import os
import subprocess
import sys
import tempfile

TOOLS = os.path.abspath(sys.argv[1])
with open(os.path.join(TOOLS, "../.clang-format"), encoding="utf-8") as layout:
    LAYOUT = layout.read()
C = "/* SPDX-License-Identifier: Apache-2.0 */\n"
SH = "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n"
PY = "#!/usr/bin/env python3\n# SPDX-License-Identifier: Apache-2.0\n"
GOOD = {
    ".clang-format": LAYOUT,
    "supervisor/plan/a.c": C + '#include "plan/a.h"\n\n#include "base/b.h"\n\nint a(void)\n{\n\treturn 0;\n}\n',
    "supervisor/plan/a.h": C + "int a(void);\n",
    "supervisor/base/b.h": C + "int b(void);\n",
    "run": SH + "echo \"$1\"\n",
    "see.py": PY + "print('http://www.kernel.org/')\n",
}
# name of the test, checker, file, its text, what the checker must say
LAYERS = [
    ("an include against the arrows is refused", "supervisor/govern/bad.c", C + '#include "daemon/x.h"\n',
     "supervisor/govern/bad.c:2: govern/ may not include daemon/"),
    ("layers that never speak to each other may not include one another", "supervisor/apply/bad.c",
     C + '# include "plan/plan.h"\n', "supervisor/apply/bad.c:2: apply/ may not include plan/"),
    ("the bottom layer includes nothing of ours", "supervisor/base/bad.h", C + '#include "wire/plan.pb-c.h"\n',
     "supervisor/base/bad.h:2: base/ may not include wire/"),
    ("a generated header by its long name is judged as well", "supervisor/base/bad.h",
     C + '#include "supervisor/wire/plan.pb-c.h"\n', "base/ may not include wire/"),
    ("an include must name its layer", "supervisor/plan/bad.c", C + '#include "a.h"\n',
     '"a.h" does not name its layer'),
    ("the privileged layer parses no YAML", "supervisor/apply/bad.c", C + "#include <yaml.h>\n",
     "apply/ may not use <yaml.h>"),
    ("a directory without a row is refused", "supervisor/extra/x.c", C, "extra/ is no layer"),
]
STYLE = [
    ("a file without its licence is found", "supervisor/plan/bad.c", "int bad;\n", "no SPDX-License-Identifier"),
    ("a script without its licence is found", "bad", "#!/bin/sh\ntrue\n", "no SPDX-License-Identifier"),
    ("user-space terms do not do for bpf/", "bpf/bad.bpf.c", C, "GPL-2.0-only OR BSD-2-Clause"),
    ("a file over 500 lines is found", "supervisor/plan/bad.c", C + "int x;\n" * 500, "501 lines, at most 500"),
    ("a function over 70 lines is found", "supervisor/plan/bad.c",
     C + "void f(void)\n{\n" + "\tf();\n" * 71 + "}\n", "bad.c:3: a function of 71 lines"),
    ("a function of seven parameters is found", "supervisor/plan/bad.c",
     C + "void f(int a, int b, int c, int d,\n\tint e, void (*g)(int, int), int h)\n{\n}\n", "f() has 7 parameters"),
    ("a place on somebody's machine is found", "bad.md", "see /wor" + "k/main for it\n", "names a place"),
    ("somebody's home is found", "bad.md", "in /home/" + "alice/src\n", "names a place"),
    ("a foreign host is found", "bad.md", "from https://" + "packages.vendor.io/x\n",
     "names the host packages.vendor.io"),
    ("a thing to do without a number is found", "supervisor/plan/bad.c", C + "/* TO" + "DO: later */\n",
     "needs its issue's number"),
    ("goto is found", "supervisor/plan/bad.c", C + "void f(void)\n{\nout:\n\tgoto out;\n}\n", "bad.c:5: goto"),
    ("wrong layout is found", "supervisor/plan/bad.c", C + "int  x ;\n", "code should be clang-formatted"),
    ("a misspelt word is found", "bad.md", "We rec" + "ieve it.\n", "rec" + "ieve ==> receive"),
    ("an unquoted variable in a script is found", "bad", SH + "rm $1\n", "SC2086"),
    ("a script that does not parse is found", "bad.py", PY + "def f(:\n", "bad.py:3:"),
    ("blanks at the end of a line are found", "bad.md", "word \n", "bad.md:1: blanks at the end"),
    ("a missing newline at the end is found", "bad.md", "word", "without exactly one newline"),
    ("a character that changes the reading order is found", "bad.md", "a\u202eb\n", "an invisible character"),
]
# name of the test, layer, C source, what the checker must say ("" where it must pass)
PURE = [
    ("plan may not open a file", "plan", "int open(const char *, int, ...);int f(void){return open(\"/\", 0);}",
     "plan/ may not call open()"),
    ("plan may not ask the time", "plan", "long time(long *);long f(void){return time(0);}",
     "plan/ may not call time()"),
    ("plan may not use what base has for files", "plan", "int io_read_file(void);int f(void){return io_read_file();}",
     "plan/ may not call io_read_file()"),
    ("plan may compute", "plan", "unsigned long strlen(const char *);unsigned long f(char *s){return strlen(s);}", ""),
    ("policy may read a file", "policy", "int io_read_file(void);int f(void){return io_read_file();}", ""),
    ("policy may not write one", "policy", "long write(int, void *, long);long f(void){return write(1, 0, 0);}",
     "policy/ may not call write()"),
    ("govern may not start a program", "govern", "int system(const char *);int f(void){return system(\"\");}",
     "govern/ may not call system()"),
    ("a library without symbols is no pass", "plan", "", "nothing was checked"),
]


def write(root, files):
    for name, text in files.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)


def check(tool, *arguments):
    done = subprocess.run([os.path.join(TOOLS, tool), *arguments], text=True, capture_output=True, timeout=120,
                          stdin=subprocess.DEVNULL, check=False)
    return done.returncode, done.stdout + done.stderr


def plant(tool, path, text, wanted):
    """None where the good tree passes and the bad one is reported; otherwise what happened."""
    with tempfile.TemporaryDirectory() as root:
        write(root, GOOD)
        code, output = check(tool, root)
        if code != 0:
            return "the tree without the violation did not pass:\n" + output
        write(root, {path: text})
        code, output = check(tool, root)
        return None if code == 1 and wanted in output else f"exit {code}, wanted {wanted!r}:\n{output}"


def impure(layer, source, wanted):
    with tempfile.TemporaryDirectory() as root:
        write(root, {"x.c": source})
        for argv in (["cc", "-c", "-fno-builtin", "-o", "x.o", "x.c"], ["ar", "cr", "x.a", "x.o"]):
            subprocess.run(argv, cwd=root, check=True, timeout=60, stdin=subprocess.DEVNULL)
        code, output = check("check-pure", layer, os.path.join(root, "x.a"))
        passed = code == 1 and wanted in output if wanted else code == 0 and output == ""
        return None if passed else f"exit {code}, wanted {wanted!r}:\n{output}"


def main():
    rows = [(row[0], lambda row=row: plant("check-layers", *row[1:])) for row in LAYERS]
    rows += [(row[0], lambda row=row: plant("check-style", *row[1:])) for row in STYLE]
    rows += [(row[0], lambda row=row: impure(*row[1:])) for row in PURE]
    print(f"1..{len(rows)}")
    for number, (name, test) in enumerate(rows, 1):
        problem = test()
        print(f"{'not ok' if problem else 'ok'} {number} - {name}")
        if problem:
            print("# " + problem.rstrip().replace("\n", "\n# "))


main()
