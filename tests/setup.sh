#!/usr/bin/env bash
# System packages that some tests need. Without the right to install them the
# tests that lack one skip and say why; in CI (CI=true) they fail.
set -euo pipefail
command -v chromium >/dev/null && command -v soffice >/dev/null && exit 0
run=()
[ "$(id -u)" -eq 0 ] || run=(sudo -n)
if ! { command -v apt-get && "${run[@]}" apt-get update -qq &&
  DEBIAN_FRONTEND=noninteractive "${run[@]}" apt-get install -y -qq \
    --no-install-recommends chromium libreoffice-calc; } >/dev/null; then
  echo "tests/setup.sh: could not install chromium and libreoffice-calc; their tests will skip" >&2
  [ "${CI:-}" != true ]
fi
