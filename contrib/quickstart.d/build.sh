# build: into out/, from a copy of the sources in build/src, so that nothing else is written.

build_packages=(
    gcc libc6-dev make autoconf automake pkg-config
    libev-dev libcurl4-openssl-dev libcjson-dev libgit2-dev zlib1g-dev libcgroup-dev
    libmicrohttpd-dev libsqlite3-dev libpcre2-dev libjwt-dev nettle-dev
)

copy_sources() {
    mkdir -p "$top/build/src"
    # Times are kept, so that make sees only what has changed.
    tar -C "$top" --exclude=./out --exclude=./build --exclude=./.git -cf - . |
        tar -C "$top/build/src" --no-same-owner -xf -
}

# True if nothing in the clone is newer than the stamp.
up_to_date() {
    local stamp=$1
    [ -e "$stamp" ] && [ -x "$top/out/bin/reeve" ] || return 1
    [ -z "$(find "$top" \( -path "$top/out" -o -path "$top/build" -o -path "$top/.git" \) \
        -prune -o -type f -newer "$stamp" ! -name "*.pyc" -print -quit)" ]
}

# configure_and_make TREE PREFIX OPTION...: builds in build/TREE, installs into PREFIX.
configure_and_make() {
    local tree=$1 prefix=$2 jobs
    shift 2
    jobs=$(nproc)
    mkdir -p "$top/build/$tree"
    (
        cd "$top/build/$tree" || exit 1
        [ -e Makefile ] || logged "$tree-configure" ../src/configure --prefix="$prefix" "$@"
        logged "$tree-make" make -j"$jobs"
        logged "$tree-install" make install
    )
}

# What every tree is built from; not while one is being built or tested.
prepare_sources() {
    install_packages "${build_packages[@]}"
    copy_sources
    [ -x "$top/build/src/configure" ] ||
        (cd "$top/build/src" && logged autogen ./autogen.sh)
}

build_tree() {
    local prefix=$2 start=$SECONDS
    say "building into ${prefix#"$top"/}"
    configure_and_make "$@"
    say "built in $((SECONDS - start)) s"
}

quickstart_build() {
    [ $# -eq 0 ] || usage_error "build takes no arguments"
    if up_to_date "$top/build/stamp"; then
        say "out/ is up to date"
        return 0
    fi
    mkdir -p "$top/build"
    touch "$top/build/stamp.new"
    prepare_sources
    build_tree obj "$top/out"
    mv "$top/build/stamp.new" "$top/build/stamp"
}
