# install_packages NAME...: installs packages of the distribution, as root or through sudo, or says what to do.
install_packages() {
    if ! command -v apt-get >/dev/null; then
        echo "please install: $* (this machine has no apt-get)" >&2
        exit 1
    fi
    as_root=""
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "please run as root: apt-get install $*" >&2
            exit 1
        fi
        as_root="sudo"
    fi
    $as_root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}
