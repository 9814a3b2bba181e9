#!/usr/bin/env bash
# System packages that some tests need. Without the right to install them the
# tests that lack one skip and say why; in CI (CI=true) they fail.
set -euo pipefail
need=()
command -v chromium >/dev/null || need+=(chromium)
command -v dcmdump >/dev/null || need+=(dcmtk)
[ ${#need[@]} -eq 0 ] && exit 0
if ! command -v apt-get >/dev/null; then
  echo "tests/setup.sh: no apt-get; tests that need ${need[*]} will skip" >&2
  [ "${CI:-}" = true ] && exit 1 || exit 0
fi
run=()
[ "$(id -u)" -eq 0 ] || run=(sudo -n)
if ! { "${run[@]}" apt-get update -qq &&
  DEBIAN_FRONTEND=noninteractive "${run[@]}" apt-get install -y -qq \
    --no-install-recommends "${need[@]}" >/dev/null; }; then
  echo "tests/setup.sh: could not install ${need[*]}; their tests will skip" >&2
  [ "${CI:-}" = true ] && exit 1 || exit 0
fi
