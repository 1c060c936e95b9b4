#!/bin/sh
# Stands for at, atq and nmcli, with what they know below $DOUBLES; as doubles.sh it refuses what no module asks for.
# job.N holds what a waiting job will run, con.NAME the settings of a connection that differ from DEFAULTS, a line each.
S=$DOUBLES
tool=${0##*/}
refuse() { echo "$tool: the double does not know: $*" >&2; exit 97; }

DEFAULTS='connection.autoconnect yes
connection.zone --
connection.master --
connection.slave-type --
connection.interface-name --
802-3-ethernet.mtu auto
ipv4.method auto
ipv4.addresses --
ipv4.dns --
ipv4.routes --
ipv4.gateway --
ipv4.ignore-auto-dns no
ipv4.ignore-auto-routes no
ipv4.never-default no
ipv4.may-fail yes
ipv6.method auto
ipv6.ignore-auto-dns no
ipv6.ignore-auto-routes no'

# Makes the settings that follow those of the connection.
set_all() {
    file=$S/con.$1; shift
    while [ $# -gt 0 ]; do
        key=$1; value=$2
        case $key in
        mode|miimon) key=bond.$key ;;
        802-3-ethernet.mtu) [ "$value" != 0 ] || value=auto ;;
        connection.*|ipv4.*|ipv6.*|vlan.*|bond.*) : ;;
        *) refuse "$key" ;;
        esac
        [ -n "$value" ] || value=--
        { grep -v "^$key " "$file" 2>/dev/null || :; printf '%s %s\n' "$key" "$value"; } >"$file.new"
        mv "$file.new" "$file"
        shift 2
    done
}
need() { [ -e "$S/con.$1" ] || { echo "Error: unknown connection '$1'." >&2; exit 10; }; }

case $tool in
atq) for f in "$S"/job.*; do [ ! -e "$f" ] || printf '%s\tTue Jan  1 00:00:00 2030 a root\n' "${f##*.}"; done ;;
at)
    case $1 in
    -c) [ -e "$S/job.$2" ] || { echo "Cannot find jobid $2" >&2; exit 1; }; printf '#!/bin/sh\n# atrun\n'; cat "$S/job.$2" ;;
    -r) [ -e "$S/job.$2" ] || { echo "Cannot find jobid $2" >&2; exit 1; }; rm "$S/job.$2" ;;
    -f)
        [ "$3" = now ] && [ "$4" = + ] && [ "$5" -gt 0 ] || refuse "$@"
        case $6 in minutes|hours|days|weeks) : ;; *) refuse "$@" ;; esac
        n=1; while [ -e "$S/job.$n" ]; do n=$((n + 1)); done
        { printf 'cd %s || exit 1\n' "$(pwd)"; cat "$2"; } >"$S/job.$n" || exit 1
        echo "job $n at Tue Jan  1 00:00:00 2030" >&2 ;;
    *) refuse "$@" ;;
    esac ;;
nmcli)
    case "$*" in
    '--fields name --terse con show') for f in "$S"/con.*; do [ ! -e "$f" ] || echo "${f##*/con.}"; done; exit 0 ;;
    '--fields name --terse con show --active')
        for f in "$S"/up.*; do [ ! -e "$f" ] || echo "${f##*/up.}"; done; exit 0 ;;
    esac
    [ "$1" = con ] || refuse "$@"
    verb=$2; shift 2
    case $verb in
    show)
        need "$1"
        { printf '%s\n' "$DEFAULTS"; grep -v '^bond' "$S/con.$1"; } | awk '
            { k = $1; sub(/^[^ ]* /, ""); if (!(k in v)) names[++n] = k; v[k] = $0 }
            END { for (i = 1; i <= n; i++) printf "%-40s%s\n", names[i] ":", (names[i] == "ipv4.routes" && v[names[i]] != "--") ? routes(v[names[i]]) : v[names[i]] }
            # Routes as the tool shows them.
            function routes(text,   all, part, i, out) {
                count = split(text, all, ",")
                for (i = 1; i <= count; i++) {
                    split(all[i], part, " ")
                    out = out (i > 1 ? "; " : "") "{ ip = " part[1] (part[2] == "" ? "" : ", nh = " part[2]) (part[3] == "" ? "" : ", mt = " part[3]) " }"
                    part[2] = part[3] = ""
                }
                return out
            }'
        options=$(sed -n 's/^bond\.\([a-z]*\) /\1=/p' "$S/con.$1" | tr '\n' ',')
        [ -z "$options" ] || printf '%-40s%s\n' bond.options: "${options%,}" ;;
    add)
        [ "$1" = type ] && [ "$3" = con-name ] || refuse "$@"
        kind=$2; name=$4; shift 4
        [ ! -e "$S/con.$name" ] || refuse "a second $name"
        set_all "$name" connection.type "$kind" "$@"
        echo "Connection '$name' (uuid) successfully added." ;;
    modify) need "$1"; set_all "$@" ;;
    reload) : ;;
    up) need "$1"; : >"$S/up.$1"; echo 'Connection successfully activated' ;;
    down) [ -e "$S/up.$1" ] || { echo "Error: '$1' is not an active connection." >&2; exit 10; }; rm "$S/up.$1" ;;
    del) need "$1"; rm -f "$S/con.$1" "$S/up.$1"; echo "Connection '$1' (uuid) successfully deleted." ;;
    *) refuse "$verb" "$@" ;;
    esac ;;
*) refuse "$@" ;;
esac
