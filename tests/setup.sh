#!/usr/bin/env bash
# System packages that some tests need. Without the right to install them the
# tests that lack one skip and say why; in CI (CI=true) they fail.
set -euo pipefail
PATH="$PATH:/usr/sbin"
# package=what it must bring: a command, or a file when it begins with /
packages=(
  chromium=chromium
  libreoffice-calc=soffice
  dicom3tools=dciodvfy
  dcmtk=dsrdump
  pixelmed-apps=DicomSRValidator
  orthanc=Orthanc
  orthanc-dicomweb=/usr/share/orthanc/plugins/libOrthancDicomWeb.so
  nginx-light=nginx
  poppler-utils=pdftotext
  postgresql=pg_ctlcluster
  systemd=systemd-analyze
)
missing=()
for package in "${packages[@]}"; do
  brings="${package#*=}"
  [ -e "$brings" ] || command -v "$brings" >/dev/null || missing+=("${package%%=*}")
done
[ "${#missing[@]}" -eq 0 ] && exit 0
run=()
[ "$(id -u)" -eq 0 ] || run=(sudo -n)
# the packages start services of their own; a test starts what it needs
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ] && printf '#!/bin/sh\nexit 101\n' | "${run[@]}" tee "$policy" >/dev/null; then
  "${run[@]}" chmod +x "$policy"
  trap '"${run[@]}" rm -f "$policy"' EXIT
fi
if ! { command -v apt-get && "${run[@]}" apt-get update -qq &&
  "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
    --no-install-recommends "${missing[@]}"; } >/dev/null; then
  echo "tests/setup.sh: could not install ${missing[*]}; their tests will skip" >&2
  [ "${CI:-}" != true ]
fi
