#!/usr/bin/python3
"""What `meson install` leaves: the files, and that programs find the library by it.

install_test.py BUILD PREFIX LIBDIR
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HANG_S = 300
BUILD, PREFIX, LIBDIR = sys.argv[1:4]

SOURCE = """
#include <elasticpool/elasticpool.h>
#include <stdlib.h>
#include <string.h>
int main(void) {
  const char* version = ep_version();
  const int parts[] = {EP_VERSION_MAJOR, EP_VERSION_MINOR, EP_VERSION_PATCH};
  for (int i = 0; i < 3; ++i) {
    if (strtol(version, (char**)&version, 10) != parts[i]) return 1;
    version += *version == '.';
  }
  void* block = malloc(malloc_good_size(100));
  if (block == NULL || malloc_size(block) != nallocx(100, 0)) return 2;
  free_sized(block, malloc_good_size(100));
  return 0;
}
"""

RING_SOURCE = """
#include <elasticpool/ring.hpp>
int main() {
  auto ring = elasticpool::ring::Ring::create(nullptr);
  return ring && !elasticpool::ring::Ring::attach("none-of-that-name") ? 0 : 1;
}
"""

CMAKE = """
cmake_minimum_required(VERSION 3.20)
project(user C)
find_package(elasticpool 0.1 REQUIRED CONFIG)
foreach(kind elasticpool elasticpool_static)
  add_executable(${kind} user.c)
  target_link_libraries(${kind} PRIVATE elasticpool::${kind})
endforeach()
file(WRITE ${CMAKE_BINARY_DIR}/so.txt "${elasticpool_SO}")
"""


def call(*command, **more):
    result = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, **more)
    if result.returncode != 0:
        raise AssertionError(f"{command}: exit {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def needs(program):
    return unittest.skipUnless(shutil.which(program), f"no {program} here")


class InstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        staging = cls.folder / "staging"
        meson = os.environ.get("MESON", "meson")
        call(meson, "install", "-C", BUILD, "--no-rebuild", "--destdir", staging)
        # Moved from where it was installed: nothing may depend on the prefix.
        cls.root = cls.folder / "moved"
        (staging / PREFIX.lstrip("/")).rename(cls.root)
        cls.lib = cls.root / LIBDIR
        cls.source = cls.folder / "user.c"
        cls.source.write_text(SOURCE)

    def runs(self, program):
        """It runs, on us, and says so at the end."""
        environment = {**os.environ, "LD_LIBRARY_PATH": str(self.lib), "MEMPOOL_STATS": "1"}
        result = subprocess.run(
            [program], env=environment, capture_output=True, text=True, timeout=HANG_S
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(result.stderr.startswith("elasticpool "), result.stderr)

    def test_files(self):
        for name in ("libelasticpool.so", "libelasticpool.so.0", "libelasticpool.a",
                     "libelasticpool-ring.so", "libelasticpool-ring.so.0",
                     "pkgconfig/elasticpool.pc", "pkgconfig/elasticpool-ring.pc",
                     "cmake/elasticpool/elasticpool-config.cmake",
                     "cmake/elasticpool/elasticpool-config-version.cmake"):  # fmt: skip
            self.assertTrue((self.lib / name).is_file(), name)
        for name in ("elasticpool.h", "pressure.h", "ring.h", "ring.hpp"):
            self.assertTrue((self.root / "include/elasticpool" / name).is_file(), name)
        self.assertTrue((self.root / "share/man/man3/elasticpool.3").is_file())

    def test_tool_finds_its_library(self):
        tool = self.root / "bin" / "elasticpool"
        if not tool.exists():
            self.skipTest("the program is not built here")
        preloaded = call(tool, "run", "--", "sh", "-c", "echo $LD_PRELOAD").strip()
        self.assertEqual(preloaded, str(self.lib / "libelasticpool.so.0"))

    @needs("pkg-config")
    @needs("cc")
    def test_pkg_config(self):
        environment = {**os.environ, "PKG_CONFIG_PATH": str(self.lib / "pkgconfig")}

        def ask(*question):
            # The prefix is the one that it was installed to, unless told otherwise.
            prefix = f"--define-variable=prefix={self.root}"
            return call("pkg-config", prefix, *question, "elasticpool", env=environment).split()

        flags = ask("--cflags", "--libs")
        program = self.folder / "by_pkg_config"
        call("cc", self.source, "-o", program, *flags)
        self.runs(program)
        for variable, file in (("so", "libelasticpool.so.0"), ("static", "libelasticpool.a")):
            path = pathlib.Path(*ask(f"--variable=elasticpool_{variable}"))
            self.assertEqual(path, self.lib / file)

    @needs("pkg-config")
    @needs("c++")
    def test_ring(self):
        source = self.folder / "ring_user.cc"
        source.write_text(RING_SOURCE)
        environment = {**os.environ, "PKG_CONFIG_PATH": str(self.lib / "pkgconfig")}
        prefix = f"--define-variable=prefix={self.root}"
        question = ["pkg-config", prefix, "--cflags", "--libs", "elasticpool-ring"]
        flags = call(*question, env=environment).split()
        program = self.folder / "ring_user"
        call("c++", "-std=c++20", "-fno-exceptions", source, "-o", program, *flags)
        call(program, env={**os.environ, "LD_LIBRARY_PATH": str(self.lib)})

    @needs("cmake")
    @needs("cc")
    def test_cmake(self):
        project = self.folder / "project"
        project.mkdir()
        (project / "CMakeLists.txt").write_text(CMAKE)
        shutil.copy(self.source, project)
        build = project / "build"
        call("cmake", "-S", project, "-B", build, f"-DCMAKE_PREFIX_PATH={self.root}")
        call("cmake", "--build", build)
        self.assertEqual((build / "so.txt").read_text(), str(self.lib / "libelasticpool.so.0"))
        for name in ("elasticpool", "elasticpool_static"):
            with self.subTest(name):
                self.runs(build / name)

    @needs("cmake")
    def test_cmake_versions(self):
        script = self.folder / "version.cmake"
        config = self.lib / "cmake/elasticpool/elasticpool-config-version.cmake"
        for wanted, expected in (("0.1", "TRUE"), ("0.1.0", "TRUE"), ("", "TRUE"),
                                 ("0.0.9", "FALSE"), ("0.2", "FALSE"), ("1.0", "FALSE"),
                                 ("0.1.99", "FALSE"), ("0.10", "FALSE")):  # fmt: skip
            script.write_text(
                f'set(PACKAGE_FIND_VERSION "{wanted}")\ninclude("{config}")\n'
                f'if(NOT PACKAGE_VERSION_COMPATIBLE STREQUAL "{expected}")\n'
                f'  message(FATAL_ERROR "{wanted}: not {expected}")\nendif()\n'
            )
            with self.subTest(wanted):
                call("cmake", "-P", script)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
