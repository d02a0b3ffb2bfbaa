# What .ci/lowest and .ci/newest share: tests in an environment of their own.
# It reads VERSIONS, the environment's name, and the array PINS, pip's arguments for it.

# tests that depend on libraries: language models and their bridges, figures, clusters, media, and the core's round trips
TESTS=(
    tests/predictors/language tests/test_hf.py tests/test_harness.py tests/training
    tests/report tests/test_executors.py tests/compressors tests/modalities
    tests/archive tests/coding tests/predictors/test_vectors.py tests/test_registry.py
    tests/cli/test_cli.py
)

# The default tests and the thorough ones. Arguments go to pytest; paths among them replace TESTS.
run_tests() {
    local argument
    for argument in "$@"; do
        case "$argument" in tests*) TESTS=() ;; esac
    done
    local folder=".venv-$VERSIONS"
    if [ ! -x "$folder/bin/python" ]; then
        # starting from the locked set, pip resolves the new one in a tenth of the time
        if [ -x .venv/bin/python ] && [ -z "${PYTHON:-}" ]; then
            # pip replaces files and never changes them, so hard links are enough
            cp -al .venv "$folder" 2> /dev/null || { rm -rf "$folder" && cp -a .venv "$folder"; }
        else
            "${PYTHON:-python3}" -m venv "$folder"
        fi
    fi
    # the library of kernels is not built again, since numba's own releases are tried here
    GENCOMP_BUILD_KERNELS=0 "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile -e '.[dev]' "${PINS[@]}"
    # each numba compiles for itself, into a cache of its own, unless GENCOMP_KERNELS asks for another way
    GENCOMP_KERNELS="${GENCOMP_KERNELS-numba}" NUMBA_CACHE_DIR="$PWD/$folder/numba" "$folder/bin/python" -m pytest -q -p no:cacheprovider -m 'not slow' "${TESTS[@]}" "$@"
}
