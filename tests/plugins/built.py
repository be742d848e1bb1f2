"""Plugins compiled as their authors would: from the headers that are installed, with what
mallocd.pc says, and nothing of the source tree."""

import os
import pathlib
import re
import shlex
import shutil
import subprocess

BUILD = pathlib.Path(os.environ.get("top_builddir", ".")).resolve()
SOURCE = pathlib.Path(os.environ.get("top_srcdir", ".")).resolve()
POOL = SOURCE / "doc/example-plugin/pool.c"
MADCAP = BUILD / "plugins/loadable/madcap.so"


def install_headers(folder):
    """What a plugin's author finds of a mallocd that was installed in FOLDER."""
    names = re.findall(r"^core_headers \+= (core/[a-z0-9-]+\.h)$",
                       (SOURCE / "core/local.mk").read_text(), re.M)
    assert names, "core/local.mk lists no headers"
    (folder / "include/mallocd").mkdir(parents=True)
    for name in names:
        shutil.copy(SOURCE / name, folder / "include/mallocd")
    text = (BUILD / "contrib/mallocd.pc").read_text()
    (folder / "mallocd.pc").write_text(
        re.sub(r"^includedir=.*$", f"includedir={folder}/include", text, flags=re.M))


def pkg_config(folder, *wanted):
    path = f"{folder}:{os.environ.get('PKG_CONFIG_PATH', '')}".rstrip(":")
    run = subprocess.run(["pkg-config", *wanted, "mallocd"], check=True, text=True,
                         env={**os.environ, "PKG_CONFIG_PATH": path}, stdout=subprocess.PIPE)
    return shlex.split(run.stdout)


def compile_plugin(source, target, folder):
    """By the command of the guide."""
    command = shlex.split(os.environ.get("CC", "cc"))
    command += ["-std=c17", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*command, *pkg_config(folder, "--cflags"), "-o", str(target), str(source)],
                   check=True)
