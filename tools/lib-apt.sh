# shellcheck shell=bash
# An apt of our own: packages of newer Debian suites, without touching the host's apt.
#
# Sourced by tools/bird-newer, tools/libreswan, tools/strongswan-newer, tools/pkcs11-provider,
# tools/wireguard-go, tools/labkernel and tools/kernel-selftests. Everything it writes is below $GATEHOUSE_CACHE: lists,
# downloaded packages and its own sources.list. The mirror is the host's own, read from the host's
# sources; so are its proxy settings and keys.
#
#   apt_cache_root         prints (and makes) the cache directory
#   apt_suite_setup SUITE  prepares lists of SUITE (downloaded at most once a day)
#   apt_suite ARGS...      apt-get with that suite alone;  apt_suite_cache ARGS... is apt-cache
#   apt_unpack DIR PKG...  downloads packages and unpacks them below DIR
#   apt_linux_source       the suite's newest package with the kernel's source (its name)
#   apt_lib_closure PKG    PKG and the lib* packages that it needs, one a line

apt_fail() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

apt_cache_root() {
    local root=${GATEHOUSE_CACHE:-}
    if [ -z "$root" ]; then
        if [ "$(id -u)" = 0 ]; then root=/var/cache/gatehouse; else root=$HOME/.cache/gatehouse; fi
    fi
    mkdir -p "$root" || apt_fail "cannot make $root (set GATEHOUSE_CACHE to a writable directory)"
    echo "$root"
}

# The address of the Debian archive that this host already uses.
apt_mirror() {
    local codename mirror
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk -v c="$codename" '$1 == c { print $2; exit }')
    [ -n "$mirror" ] || apt_fail "no Debian archive for '$codename' in this host's apt sources"
    echo "$mirror"
}

apt_suite_setup() {
    local suite=$1 mirror lists
    mirror=$(apt_mirror) || exit 1
    apt_dir=$(apt_cache_root)/apt/$suite || exit 1
    mkdir -p "$apt_dir/lists/partial" "$apt_dir/cache/archives/partial" "$apt_dir/none"
    echo "deb $mirror $suite main" >"$apt_dir/sources.list"
    : >"$apt_dir/status"
    lists=$apt_dir/updated
    if [ -z "$(find "$lists" -mmin -1440 2>/dev/null)" ]; then
        apt_suite -q update >&2 || apt_fail "apt-get update for Debian $suite failed"
        touch "$lists"
    fi
}

apt_options() {
    printf '%s\n' \
        "-oDir::Etc::SourceList=$apt_dir/sources.list" "-oDir::Etc::SourceParts=$apt_dir/none" \
        -oDir::Etc::Preferences=/dev/null "-oDir::Etc::PreferencesParts=$apt_dir/none" \
        "-oDir::State::Lists=$apt_dir/lists" "-oDir::State::status=$apt_dir/status" \
        "-oDir::Cache=$apt_dir/cache" \
        -oDir::Cache::pkgcache=pkgcache.bin -oDir::Cache::srcpkgcache=srcpkgcache.bin \
        -oAcquire::Languages=none -oAcquire::Retries=3 -oAPT::Sandbox::User=root
}

apt_suite() {
    local options
    mapfile -t options < <(apt_options)
    apt-get "${options[@]}" "$@"
}

apt_suite_cache() {
    local options
    mapfile -t options < <(apt_options)
    apt-cache "${options[@]}" "$@"
}

apt_version() {
    apt_suite_cache show --no-all-versions "$1" 2>/dev/null | sed -n 's/^Version: //p' | head -1
}

apt_linux_source() {
    apt_suite_cache pkgnames linux-source- | grep -E '^linux-source-[0-9.]+$' | sort -V | tail -1
}

apt_unpack() {
    local dir=$1 debs deb
    shift
    debs=$(mktemp -d "$apt_dir/debs.XXXXXX") || exit 1
    (cd "$debs" && apt_suite -q download "$@" >&2) || apt_fail "cannot download: $*"
    mkdir -p "$dir"
    for deb in "$debs"/*.deb; do
        dpkg-deb -x "$deb" "$dir" || apt_fail "cannot unpack $(basename "$deb")"
    done
    rm -rf "$debs"
}

apt_lib_closure() {
    local todo=("$1") seen=" $1 " package name
    while [ ${#todo[@]} -gt 0 ]; do
        package=${todo[0]}
        todo=("${todo[@]:1}")
        echo "$package"
        while read -r name; do
            case "$seen" in *" $name "*) continue ;; esac
            seen="$seen$name "
            todo+=("$name")
        done < <(apt_suite_cache depends --important "$package" |
            sed -n 's/^ *\(Pre\)\?Depends: \(lib[^<]*\)$/\2/p')
    done
}
