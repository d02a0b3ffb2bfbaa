# What .ci/lowest and .ci/newest share: tests in an environment of their own, and the outcome in one line.
# Sourced with VERSIONS, the name of the environment, and pip's arguments for it in the array PINS.

# what depends on libraries: language models and their bridges, figures, clusters, media, and the core's round trips
TESTS=(
    tests/predictors/language tests/test_hf.py tests/test_harness.py tests/training
    tests/report tests/test_executors.py tests/compressors tests/modalities
    tests/archive tests/coding tests/predictors/test_vectors.py tests/test_registry.py
    tests/cli/test_cli.py
)

# Arguments are pytest's; paths among them take the place of TESTS.
run_tests() {
    local argument
    for argument in "$@"; do
        case "$argument" in tests*) TESTS=() ;; esac
    done
    local folder=".venv-$VERSIONS"
    if [ ! -x "$folder/bin/python" ]; then
        # from the locked set there are few steps to another one, and pip finds them in a tenth of the time
        if [ -x .venv/bin/python ] && [ -z "${PYTHON:-}" ]; then
            # what pip installs takes the place of a file and never changes it, so that names for the same ones do
            cp -al .venv "$folder" 2> /dev/null || { rm -rf "$folder" && cp -a .venv "$folder"; }
        else
            "${PYTHON:-python3}" -m venv "$folder"
        fi
    fi
    # the library of kernels stays what it is; here numba's own releases are tried
    GENCOMP_BUILD_KERNELS=0 "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile -e '.[dev]' "${PINS[@]}"
    # each numba here compiles for itself, in a cache of its own, unless another way is asked for
    GENCOMP_KERNELS="${GENCOMP_KERNELS-numba}" NUMBA_CACHE_DIR="$PWD/$folder/numba" "$folder/bin/python" -m pytest -q -p no:cacheprovider "${TESTS[@]}" "$@"
}
