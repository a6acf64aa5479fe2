# What the commands of the quickstart share.

say() {
    printf '== %s\n' "$*"
}

die() {
    printf 'quickstart: %s\n' "$*" >&2
    exit 1
}

usage_error() {
    printf 'quickstart: %s\n' "$*" >&2
    usage >&2
    exit 2
}

# "60", "60s", "5m", "1h" as seconds.
seconds_of() {
    local number=${1%[smh]} unit=${1##*[0-9]}
    case $number in
    '' | *[!0-9]* | ????????*) usage_error "no duration: $1" ;;
    esac
    case $unit in
    '' | s) echo "$((10#$number))" ;;
    m) echo "$((10#$number * 60))" ;;
    h) echo "$((10#$number * 3600))" ;;
    *) usage_error "no duration: $1" ;;
    esac
}

# Runs a command with its output in build/log/NAME.log; shows the end of that if it fails.
# 77 means that a test skipped itself, which is no failure to show.
logged() {
    local name=$1 log="$top/build/log/$1.log"
    shift
    mkdir -p "$top/build/log"
    local code=0
    "$@" >"$log" 2>&1 </dev/null || code=$?
    if [ $code -ne 0 ] && [ $code -ne 77 ]; then
        tail -n 40 "$log" >&2
        printf 'quickstart: %s failed; all of it is in build/log/%s.log\n' "$name" "$name" >&2
    fi
    return $code
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -n "$@"
    else
        die "needs root or sudo for: $*"
    fi
}

# Services run in cgroups, which root alone can make.
become_root() {
    [ "$(id -u)" -ne 0 ] || return 0
    command -v sudo >/dev/null || die "run this as root, or install sudo"
    exec sudo -n "$top/contrib/quickstart" "$@"
}

missing_packages() {
    local package
    for package in "$@"; do
        case $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) in
        installed) ;;
        *) printf '%s\n' "$package" ;;
        esac
    done
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}

# Installs those of the packages that are missing.
install_packages() {
    local missing
    if ! command -v dpkg-query >/dev/null; then
        say "no Debian: these packages, or what they are called here, are needed: $*"
        return 0
    fi
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${missing[*]}"
    logged apt-update apt_get update || say "apt-get update failed; going on with what is known"
    logged apt-install apt_get install -y --no-install-recommends "${missing[@]}"
}
