#!/bin/sh
# Installs the program `rpcplugin` from the archives of a release, on Linux and macOS.
#
#     curl -fsSL https://github.com/rpcplugin/rpcplugin/releases/latest/download/install.sh | sh
#
# RPCPLUGIN_VERSION      the version, for example 0.1.0; the newest release if it is not set
# RPCPLUGIN_INSTALL_DIR  where the program is put; ~/.local/bin if it is not set
# RPCPLUGIN_DOWNLOADS    an address or a directory with the archives, in place of the release's
set -eu

fail() {
    echo "install.sh: $1" >&2
    exit 1
}

# The whole script is a function, so that a download that is cut off does nothing.
main() {
    releases=https://github.com/rpcplugin/rpcplugin/releases
    if [ -n "${RPCPLUGIN_DOWNLOADS:-}" ]; then
        downloads=$RPCPLUGIN_DOWNLOADS
    elif [ -n "${RPCPLUGIN_VERSION:-}" ]; then
        downloads=$releases/download/v$RPCPLUGIN_VERSION
    else
        downloads=$releases/latest/download
    fi
    directory=${RPCPLUGIN_INSTALL_DIR:-$HOME/.local/bin}
    name=rpcplugin-cli-$(target)
    archive=$name.tar.gz

    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    fetch "$archive"
    fetch SHA256SUMS
    (cd "$work" && grep "[ *]$archive\$" SHA256SUMS >sum && verify sum) ||
        fail "$archive does not have the checksum that the release names; nothing was installed"
    tar -xzf "$work/$archive" -C "$work"
    mkdir -p "$directory"
    # Copied beside its place and renamed, so that a running program is not written to.
    cp "$work/$name/rpcplugin" "$directory/.rpcplugin.new"
    chmod 755 "$directory/.rpcplugin.new"
    mv -f "$directory/.rpcplugin.new" "$directory/rpcplugin"
    echo "installed $("$directory/rpcplugin" --version) as $directory/rpcplugin"
    case ":$PATH:" in
    *":$directory:"*) ;;
    *) echo "add $directory to PATH" ;;
    esac
}

# The target of this system.
target() {
    case $(uname -m) in
    x86_64 | amd64) processor=x86_64 ;;
    aarch64 | arm64) processor=aarch64 ;;
    *) fail "there is no archive for the processor $(uname -m); run: cargo install --locked rpcplugin-cli" ;;
    esac
    case $(uname -s) in
    Darwin) echo "$processor-apple-darwin" ;;
    Linux) echo "$processor-unknown-linux-$(library)" ;;
    *) fail "there is no archive for $(uname -s); run: cargo install --locked rpcplugin-cli" ;;
    esac
}

# `gnu` where glibc is at least 2.35, with which the archives are built. Elsewhere the static program, which needs no library.
library() {
    version=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed -n 's/^glibc //p')
    case $version in
    2.*)
        minor=${version#2.}
        if [ "${minor%%.*}" -ge 35 ]; then
            echo gnu
            return
        fi
        ;;
    esac
    echo musl
}

fetch() {
    case $downloads in
    https://*)
        if command -v curl >/dev/null; then
            curl -fsSL --proto '=https' --tlsv1.2 -o "$work/$1" "$downloads/$1"
        elif command -v wget >/dev/null; then
            wget -q -O "$work/$1" "$downloads/$1"
        else
            fail "neither curl nor wget is installed"
        fi
        ;;
    *) cp "$downloads/$1" "$work/$1" ;;
    esac || fail "$downloads/$1 cannot be downloaded"
}

verify() {
    if command -v sha256sum >/dev/null; then
        sha256sum -c "$1" >/dev/null 2>&1
    else
        shasum -a 256 -c "$1" >/dev/null 2>&1
    fi
}

main "$@"
