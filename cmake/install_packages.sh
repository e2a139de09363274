#!/bin/bash
# Installs the Debian packages of one or more groups that are not there yet.
#
#    cmake/install_packages.sh build|test|bench...
#
# Asks dpkg first: when nothing is missing it is done in a few milliseconds, without root and without
# a network. The lists of packages are fetched only when a package cannot be found without.
set -eu

# The programs, and what a first look at a running server needs.
build_packages=(
  make g++ cmake ninja-build ccache pkg-config
  libzmq3-dev cppzmq-dev libmsgpack-cxx-dev
  libabsl-dev libfmt-dev libjemalloc-dev libcli11-dev libtomlplusplus-dev libedit-dev
  nlohmann-json3-dev libgtest-dev libgmock-dev libbenchmark-dev
  python3 python3-zmq python3-msgpack
)
# What only tests, examples and `make format` need.
test_packages=(
  clang clang-format libclang-rt-14-dev
  python3-pytest python3-venv python3-pip python3-setuptools mypy
  python3-jsonschema libmsgpack-dev tmux zsh patch
  mount e2fsprogs xfsprogs
)
# What the server is measured against, and what counts its instructions.
bench_packages=(redis-server memcached valgrind)

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Packages that start a service are installed without starting it.
without_services() {
  local policy=/usr/sbin/policy-rc.d
  if [ -e "$policy" ]; then
    "$@"
    return
  fi
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" > /dev/null
  as_root chmod +x "$policy"
  local status=0
  "$@" || status=$?
  as_root rm "$policy"
  return "$status"
}

install_packages() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

wanted=()
for group in "$@"; do
  case "$group" in
    build) wanted+=("${build_packages[@]}") ;;
    test) wanted+=("${test_packages[@]}") ;;
    bench) wanted+=("${bench_packages[@]}") ;;
    *) echo "$0: there is no group $group" >&2; exit 2 ;;
  esac
  # A Node.js from elsewhere, with its own npm, is as good as Debian's.
  if [ "$group" = test ]; then
    if ! command -v node > /dev/null || ! command -v npm > /dev/null; then wanted+=(nodejs npm); fi
  fi
done

installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2> /dev/null |
            sed -n 's/^installed //p' || true)
missing=()
for package in "${wanted[@]}"; do
  grep -qxF "$package" <<< "$installed" || missing+=("$package")
done
if [ "${#missing[@]}" -eq 0 ]; then exit 0; fi

echo "Installing: ${missing[*]}"
if ! without_services install_packages "${missing[@]}"; then
  as_root apt-get update
  without_services install_packages "${missing[@]}"
fi
