#!/usr/bin/env bash
# Installs what mallocd needs, on Debian 12 and its kin.
# Usage: contrib/install-deps.sh [build|test]    (test: what the tests need, too; default: build)
set -eu

build=(
  gcc make autoconf automake libtool pkg-config   # the build itself
  libglib2.0-dev                                   # main loop, key files, modules
  libjson-c-dev                                    # control API
  libsodium-dev                                    # keyed hashes, random numbers
  libsqlite3-dev                                   # the store
  libsystemd-dev                                   # sd_notify; optional
  iproute2 procps                                  # the quickstart's namespaces
)
test=(
  libcriterion-dev                                 # unit tests
  clang                                            # second compiler, fuzz targets
  clang-tidy                                       # make lint
  binutils                                         # lints read object files
  python3                                          # the independent codec that drives the daemon
  sqlite3                                          # tests look into the store from outside
  tshark                                           # the dissector is checked with it
  util-linux iputils-ping tcpdump                  # network namespaces and what goes through them
  libfaketime                                      # the daemon's clock is stepped
  bird2                                            # the exporter is tried with it
  xz-utils                                         # make distcheck
  man-db                                           # manual pages are rendered
)

case ${1:-build} in
  build) wanted=("${build[@]}") ;;
  test) wanted=("${build[@]}" "${test[@]}") ;;
  *) echo "usage: $0 [build|test]" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "This is not a Debian system. Install the counterparts of: ${wanted[*]}" >&2
  exit 1
fi

missing=()
for package in "${wanted[@]}"; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=
  [ "$state" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "All packages are there."
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "Run as root, or install: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi

# tshark asks whether everybody may capture: noninteractive takes its default, no.
install_missing()
{
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}"
}

# BIRD's package starts it at once, and at every boot: a machine that runs tests isn't a router.
# One that was there before is left alone.
bird_starts()
{
  [[ " ${missing[*]} " == *" bird2 "* ]] && [ -d /run/systemd/system ]
}
bird_starts && "${as_root[@]}" systemctl mask --runtime --quiet bird.service || true
keep_bird_down()
{
  bird_starts || return 0
  "${as_root[@]}" systemctl disable --quiet bird.service || true
  "${as_root[@]}" systemctl unmask --runtime --quiet bird.service || true
}
trap keep_bird_down EXIT

echo "Installing: ${missing[*]}"
# A fresh machine has no package lists; one set up long ago has stale ones, and the download fails.
if ! apt-get install -s -q --no-install-recommends "${missing[@]}" >/dev/null 2>&1 ||
  ! install_missing; then
  "${as_root[@]}" apt-get update -q
  install_missing
fi
