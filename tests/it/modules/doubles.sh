#!/bin/sh
# Stands for tools that this machine lacks or must not run: by the name that it is called with, with what it knows below
# $DOUBLES. Only what the modules ask for is here; anything else is refused, so that a wrong call cannot pass.
S=$DOUBLES
tool=${0##*/}
refuse() { echo "$tool: the double does not know: $*" >&2; exit 97; }
# Lines of a file without one line; with one line more.
without() { { grep -vxF -e "$2" "$1" 2>/dev/null || :; } >"$1.new"; mv "$1.new" "$1"; }
with() { grep -qxF -e "$2" "$1" 2>/dev/null || printf '%s\n' "$2" >>"$1"; }

# Package managers: what can be had stands in a file as `name version needs...`, the newest last; what there is in another.
version_of() { sed -n "s/^$2 \([^ ]*\).*/\1/p" "$1" 2>/dev/null | tail -n 1; }
has_version() { grep -qx -e "$2 $3" -e "$2 $3 .*" "$1" 2>/dev/null; }
# The line of a package in the first file becomes: this version, or no line without a version.
put() { { grep -v "^$2 " "$1" 2>/dev/null || :; [ -z "$3" ] || printf '%s %s\n' "$2" "$3"; } >"$1.new"; mv "$1.new" "$1"; }

case $tool in
getsebool)
    [ "$1" = -- ] && shift
    [ -e "$S/bool.$1" ] || exit 1
    printf '%s --> %s\n' "$1" "$(cat "$S/bool.$1")" ;;
setsebool)
    keep=; [ "$1" = -P ] && { keep=1; shift; }
    [ "$1" = -- ] && shift
    case $2 in 1) word=on ;; 0) word=off ;; *) refuse "$@" ;; esac
    echo $word >"$S/bool.$1"
    [ -z "$keep" ] || echo $word >"$S/kept.$1" ;;
setenforce) echo "$1" >/sys/fs/selinux/enforce ;;
semanage)
    case "$*" in
    'boolean -l -n')
        for f in "$S"/bool.*; do
            [ -e "$f" ] || continue
            n=${f##*/bool.}; now=$(cat "$f"); kept=$(cat "$S/kept.$n" 2>/dev/null || echo "$now")
            printf '%-30s (%-3s , %3s)  A switch\n' "$n" "$now" "$kept"
        done ;;
    'fcontext -l -n')
        cat "$S/labels" 2>/dev/null
        sed 's/^/ /; s/^ //' "$S/equal" 2>/dev/null; : ;;
    'port -l -n -C') cat "$S/ports" 2>/dev/null; : ;;
    'port -l -n')
        { printf '%s\n' 'web_port_t tcp 80, 443' 'db_port_t tcp 5000-5010'; cat "$S/ports" 2>/dev/null; } |
            awk '{ for (i = 3; i <= NF; i++) { sub(/,$/, "", $i); kind[$2 " " $i] = $1 } } END { for (k in kind) { split(k, part, " "); print kind[k], part[1], part[2] } }' ;;
    port\ *)
        verb=$2; shift 2; [ "$1" = -N ] && shift
        type=; [ "$1" = -t ] && { type=$2; shift 2; }
        [ "$1" = -p ] && [ $# = 3 ] || refuse "$@"
        [ "$verb" != -d ] || grep -q " $2 $3\$" "$S/ports" 2>/dev/null || { echo "Port $2/$3 is defined in policy, cannot be deleted" >&2; exit 1; }
        { awk -v p="$2" -v n="$3" '!($2 == p && $3 == n)' "$S/ports" 2>/dev/null; :; } >"$S/ports.new"
        mv "$S/ports.new" "$S/ports"
        [ "$verb" = -d ] || printf '%s %s %s\n' "$type" "$2" "$3" >>"$S/ports" ;;
    fcontext\ *)
        verb=$2; shift 2; user=; level=s0; type=; kind=; equal=
        while [ $# -gt 1 ]; do
            case $1 in
            -N) shift ;;
            -s) user=$2; shift 2 ;; -r) level=$2; shift 2 ;; -t) type=$2; shift 2 ;; -f) kind=$2; shift 2 ;; -e) equal=$2; shift 2 ;;
            *) refuse "$@" ;;
            esac
        done
        case $kind in a) kind='all files' ;; f) kind='regular file' ;; d) kind=directory ;; '') ;; *) refuse "kind $kind" ;; esac
        if [ -n "$equal" ]; then
            { grep -v "^$1 = " "$S/equal" 2>/dev/null || :; } >"$S/equal.new"; mv "$S/equal.new" "$S/equal"
            [ "$verb" = -d ] || printf '%s = %s\n' "$1" "$equal" >>"$S/equal"
            exit 0
        fi
        { awk -v t="$1" -v k="$kind" '!($1 == t && index($0, "  " k "  "))' "$S/labels" 2>/dev/null; :; } >"$S/labels.new"
        mv "$S/labels.new" "$S/labels"
        [ "$verb" = -d ] || printf '%s  %s  %s:object_r:%s:%s\n' "$1" "$kind" "$user" "$type" "$level" >>"$S/labels" ;;
    *) refuse "$@" ;;
    esac ;;
systemctl)
    while :; do case $1 in --no-block|--force) shift ;; *) break ;; esac; done
    verb=$1; shift
    [ "$1" = -l ] && shift
    [ "$1" = -- ] && shift
    unit=$S/unit.$1
    case $verb in daemon-reload) exit 0 ;; esac
    if [ ! -d "$unit" ]; then
        case $verb in
        show) printf 'Id=%s.service\nLoadState=not-found\nActiveState=inactive\n' "$1"; exit 0 ;;
        *) echo "Unit $1.service could not be found." >&2; exit 5 ;;
        esac
    fi
    set_enabled() { echo "$1" >"$unit/enabled"; }
    masked=; [ "$(cat "$unit/enabled")" = masked ] && masked=1
    case $verb in
    show)
        printf 'Id=%s.service\nLoadState=%s\nActiveState=%s\nExecStart={ path=/bin/true ; argv[]=/bin/true }\n' "$1" \
            "$([ -n "$masked" ] && echo masked || echo loaded)" "$(cat "$unit/active")" ;;
    is-enabled) cat "$unit/enabled"; [ "$(cat "$unit/enabled")" = enabled ] ;;
    is-active) cat "$unit/active"; [ "$(cat "$unit/active")" = active ] ;;
    list-unit-files) : ;;
    start|restart|reload)
        [ -z "$masked" ] || { echo "Unit $1.service is masked." >&2; exit 1; }
        echo active >"$unit/active"; echo "$verb" >>"$unit/done" ;;
    stop) echo inactive >"$unit/active" ;;
    enable|disable)
        [ -z "$masked" ] || { echo "Unit $1.service is masked." >&2; exit 1; }
        set_enabled "${verb}d" ;;
    mask) set_enabled masked ;;
    unmask) [ -z "$masked" ] || set_enabled disabled ;;
    *) refuse "$verb" "$@" ;;
    esac ;;
update-rc.d)
    [ -e "/etc/init.d/$1" ] || { echo "update-rc.d: no $1" >&2; exit 1; }
    for level in 2 3 4 5; do
        case $2 in
        defaults) [ -e "/etc/rc$level.d/K01$1" ] || ln -sf "../init.d/$1" "/etc/rc$level.d/S01$1" ;;
        enable) rm -f "/etc/rc$level.d/K01$1"; ln -sf "../init.d/$1" "/etc/rc$level.d/S01$1" ;;
        disable) rm -f "/etc/rc$level.d/S01$1"; ln -sf "../init.d/$1" "/etc/rc$level.d/K01$1" ;;
        *) refuse "$@" ;;
        esac
    done ;;
service) name=$1; shift; exec "/etc/init.d/$name" "$@" ;;
firewall-cmd|firewall-offline-cmd)
    side=running zone= query= value=
    for arg; do
        case $arg in
        --permanent) side=permanent ;;
        --zone=*) zone=${arg#--zone=} ;;
        --timeout=*) : ;;
        *) query=$arg ;;
        esac
    done
    [ $tool = firewall-cmd ] || side=permanent
    file=$S/zone.$zone.$side
    case $query in
    --state) [ ! -e "$S/firewall.off" ] ;;
    --get-zones) for f in "$S"/zone.*.$side; do [ ! -e "$f" ] || { f=${f##*/zone.}; printf '%s ' "${f%.*}"; }; done; echo ;;
    --get-default-zone) echo public ;;
    --new-zone=*) : >"$S/zone.${query#*=}.$side" ;;
    --delete-zone=*) rm -f "$S/zone.${query#*=}.$side" ;;
    --get-target) sed -n 's/^target=//p' "$file" | grep . || echo default ;;
    --set-target=*)
        { grep -v ^target= "$file" || :; } >"$file.new"; mv "$file.new" "$file"
        echo "target=${query#*=}" >>"$file" ;;
    --query-*) [ -e "$file" ] && grep -qxF -e "${query#--query-}" "$file" ;;
    --add-*) [ -e "$file" ] || { echo "Error: INVALID_ZONE: $zone" >&2; exit 112; }; with "$file" "${query#--add-}" ;;
    --change-*) with "$file" "${query#--change-}" ;;
    --remove-*) without "$file" "${query#--remove-}" ;;
    *) refuse "$@" ;;
    esac ;;
iptables|ip6tables)
    [ "$1" = --version ] && { echo "$tool v1.8.9 (double)"; exit 0; }
    [ "$1" = -t ] || refuse "$@"
    base=$S/$tool.$2; verb=$3; shift 3
    case $verb in -F) chain=$1; for f in "$base".${chain:-*}; do [ ! -e "$f" ] || sed -i '2,$d' "$f"; done; exit 0 ;; esac
    chain=$base.$1; shift
    number=; case $1 in [0-9]*) number=$1; shift ;; esac
    # The option that waits for the lock is no part of a rule.
    [ "$1" = -w ] && shift 2
    rule="$*"
    [ "$verb" = -N ] || [ -e "$chain" ] || { echo "$tool: No chain/target/match by that name." >&2; exit 1; }
    case $verb in
    -L) printf 'Chain X (policy %s)\n' "$(head -n 1 "$chain")" ;;
    -C) sed 1d "$chain" | grep -qxF -e "$rule" ;;
    -A) printf '%s\n' "$rule" >>"$chain" ;;
    -I) { head -n "${number:-1}" "$chain"; printf '%s\n' "$rule"; sed "1,${number:-1}d" "$chain"; } >"$chain.new"; mv "$chain.new" "$chain" ;;
    -D) without "$chain" "$rule" ;;
    -P) { echo "$1"; sed 1d "$chain"; } >"$chain.new"; mv "$chain.new" "$chain" ;;
    -N) echo - >"$chain" ;;
    -X) rm "$chain" ;;
    *) refuse "$verb" "$@" ;;
    esac ;;
locale) [ "$1" = -a ] || refuse "$@"; printf 'C\nPOSIX\n'; cat "$S/locales" 2>/dev/null; : ;;
locale-gen) sed -n 's/^\([a-z][^ ]*\) .*/\1/p' /etc/locale.gen | sed 's/UTF-8/utf8/; s/ISO-/iso/' >"$S/locales" ;;
timedatectl)
    case $1 in
    '') printf '               Time zone: %s (CET, +0100)\n         RTC in local TZ: %s\n' "$(cat "$S/zone")" "$(cat "$S/rtc")" ;;
    set-timezone) echo "$2" >"$S/zone" ;;
    set-local-rtc) echo "$2" >"$S/rtc" ;;
    *) refuse "$@" ;;
    esac ;;
apk)
    while :; do case $1 in -v|--no-cache) shift ;; --repository|--repositories-file) shift 2 ;; *) break ;; esac; done
    verb=$1; shift
    try=; upgrade=
    while :; do case $1 in --simulate) try=1; shift ;; --upgrade|--available) upgrade=1; shift ;; --purge) shift ;; *) break ;; esac; done
    count=0
    # One step of the tool: what it says and, unless it only tries, does.
    step() {
        count=$((count + 1)); old=$(version_of "$S/have" "$2")
        case $1 in
        Upgrading) printf '(%s/9) Upgrading %s (%s -> %s)\n' $count "$2" "$old" "$3" ;;
        Purging) printf '(%s/9) Purging %s (%s)\n' $count "$2" "$old" ;;
        *) printf '(%s/9) %s %s (%s)\n' $count "$1" "$2" "$3" ;;
        esac
        [ -n "$try" ] || put "$S/have" "$2" "$3"
    }
    case $verb in
    update) : >"$S/updated"; echo 'OK: 20000 distinct packages available' ;;
    info)
        case $1 in
        --installed) [ -n "$(version_of "$S/have" "$2")" ] && echo "$2" ;;
        --description) [ -z "$(version_of "$S/repo" "$2")" ] || printf '%s-%s description:\nA package\n' "$2" "$(version_of "$S/repo" "$2")" ;;
        *) refuse "$verb" "$@" ;;
        esac ;;
    version)
        printf 'Installed:                                Available:\n'
        old=$(version_of "$S/have" "$1"); new=$(version_of "$S/repo" "$1"); sign='<'; [ "$old" != "$new" ] || sign='='
        [ -z "$old" ] || printf '%-40s%s %s\n' "$1-$old" "$sign" "$new" ;;
    add)
        for name; do
            [ -n "$(version_of "$S/repo" "${name%%=*}")" ] || {
                printf 'ERROR: unable to select packages:\n  %s (no such package):\n    required by: world[%s]\n' "$name" "$name" >&2
                exit 1
            }
        done
        for name; do
            for each in $(sed -n "s/^$name [^ ]*//p" "$S/repo" | tail -n 1) $name; do
                old=$(version_of "$S/have" $each); new=$(version_of "$S/repo" $each)
                [ -n "$old" ] || step Installing $each "$new"
                [ -z "$old" ] || [ -z "$upgrade" ] || [ "$old" = "$new" ] || step Upgrading $each "$new"
            done
            [ -n "$try" ] || with "$S/world" "$name"
        done
        echo 'OK: 10 MiB in 20 packages' ;;
    del)
        for name; do
            [ -z "$(version_of "$S/have" "$name")" ] || step Purging "$name" ''
            [ -n "$try" ] || without "$S/world" "$name"
        done
        echo 'OK: 10 MiB in 20 packages' ;;
    upgrade)
        while read -r name old; do
            new=$(version_of "$S/repo" "$name"); [ "$new" = "$old" ] || echo "$name $new"
        done <"$S/have" >"$S/outdated"
        while read -r name new; do step Upgrading "$name" "$new"; done <"$S/outdated"
        rm "$S/outdated"
        echo 'OK: 10 MiB in 20 packages' ;;
    *) refuse "$verb" "$@" ;;
    esac ;;
gem)
    have=${GEM_HOME:-$S}/gems; verb=$1; shift
    [ "$1" = --norc ] && shift
    version=; all=; source=$S/remote
    while [ $# -gt 1 ]; do
        case $1 in
        --version) version=$2; shift 2 ;;
        --source|--install-dir|--bindir) shift 2 ;;
        --all) all=1; shift ;;
        --remote) all=remote; shift ;;
        --*) shift ;;
        *) refuse "$verb" "$@" ;;
        esac
    done
    name=$(printf '%s' "$1" | sed 's/^^//; s/\$$//; s/\\//g'); newest=$(version_of "$source" "$name")
    case $verb in
    list)
        if [ "$all" = remote ]; then [ -z "$newest" ] || echo "$name ($newest)"; exit 0; fi
        list=$(sed -n "s/^$name //p" "$have" "$S/default" 2>/dev/null | sort -r | tr '\n' ',' | sed 's/,$//; s/,/, /g')
        [ -z "$list" ] || echo "$name ($list)" ;;
    install)
        : "${version:=$newest}"
        has_version "$source" "$name" "$version" || { echo "ERROR:  Could not find a valid gem '$name' (= $version) in any repository" >&2; exit 2; }
        mkdir -p "${have%/*}"; with "$have" "$name $version"
        printf 'Successfully installed %s-%s\n1 gem installed\n' "$name" "$version" ;;
    uninstall)
        if [ -n "$all" ]; then put "$have" "$name" ''; else without "$have" "$name $version"; fi
        grep -q "^$name " "$S/default" 2>/dev/null && echo "Gem $name-1.0.0 cannot be uninstalled because it is a default gem" >&2
        echo "Successfully uninstalled $name" ;;
    *) refuse "$verb" "$@" ;;
    esac ;;
npm)
    verb=$1; shift; place=$PWD; package=
    while [ $# -gt 0 ]; do
        case $1 in
        --global) place=$S/global; mkdir -p "$place" ;;
        --registry) shift ;;
        --*) : ;;
        *) package=$1 ;;
        esac
        shift
    done
    name=${package%@*}; version=; [ "$name" = "$package" ] || version=${package##*@}
    wanted=$place/wanted have=$place/have
    case $verb in
    list)
        join= rc=0
        printf '{"name": "x"'
        while read -r each old; do
            [ -n "$each" ] || continue
            [ -n "$join" ] || printf ', "dependencies": {'
            now=$(version_of "$have" "$each")
            if [ -n "$now" ]; then printf '%s"%s": {"version": "%s"}' "$join" "$each" "$now"
            else printf '%s"%s": {"required": "%s", "missing": true, "problems": []}' "$join" "$each" "$old"; rc=1; fi
            join=', '
        done <<END
$(cat "$wanted" 2>/dev/null | grep .)
END
        printf '%s}\n' "$([ -z "$join" ] || echo '}')"
        exit $rc ;;
    outdated)
        [ -s "$wanted" ] || exit 0
        rc=0
        while read -r each _; do
            now=$(version_of "$have" "$each"); new=$(version_of "$S/registry" "$each")
            [ "$now" = "$new" ] && continue
            [ $rc = 1 ] || echo 'Package  Current  Wanted  Latest  Location'
            echo "$each  ${now:-MISSING}  $new  $new  x"; rc=1
        done <"$wanted"
        exit $rc ;;
    install|ci|update)
        if [ -n "$name" ]; then
            : "${version:=$(version_of "$S/registry" "$name")}"
            has_version "$S/registry" "$name" "$version" || { echo "npm ERR! code E404" >&2; exit 1; }
            if [ "$verb" = update ]; then grep -q "^$name " "$wanted" || exit 0; version=$(version_of "$S/registry" "$name"); fi
            put "$wanted" "$name" "$version"; put "$have" "$name" "$version"
        fi
        [ -e "$wanted" ] || exit 0
        while read -r each old; do
            if [ "$verb" = update ] && [ -z "$name" ]; then put "$have" "$each" "$(version_of "$S/registry" "$each")"
            elif [ -z "$(version_of "$have" "$each")" ] || [ "$verb" = ci ]; then put "$have" "$each" "$old"; fi
        done <"$wanted"
        echo 'added 1 package' ;;
    uninstall) put "$wanted" "$name" ''; put "$have" "$name" ''; echo 'removed 1 package' ;;
    *) refuse "$verb" "$package" ;;
    esac ;;
virtualenv)
    for env; do :; done
    [ "$env" != --help ] || exit 0
    mkdir -p "$env/bin"; : >"$env/bin/activate"; : >"$env/have"; ln -s "$(dirname "$0")/double" "$env/bin/pip" ;;
pip)
    have=${0%/bin/*}/have; verb=$1; shift; try= newest= again= from=
    while :; do
        case $1 in
        --dry-run) try=1 ;; -U) newest=1 ;; --force-reinstall) again=1 ;; -y|--no-cache-dir|--format=freeze|-q) : ;;
        -r) from=$2; shift ;;
        *) break ;;
        esac
        shift
    done
    [ -z "$from" ] || set -- $(cat "$from")
    case $verb in
    list) sed 's/ /==/' "$have" ;;
    install)
        done=
        for each; do
            name=${each%%[=<>]*}; old=$(version_of "$have" "$name"); new=${each#*==}
            [ "$name" != "$each" ] || new=$(version_of "$S/index" "$name")
            [ "$new" != "$each" ] && [ -n "$new" ] && has_version "$S/index" "$name" "$new" || {
                printf 'ERROR: Could not find a version that satisfies the requirement %s (from versions: none)\nERROR: No matching distribution found for %s\n' "$each" "$each" >&2
                exit 1
            }
            if [ -n "$old" ] && [ -z "$again" ]; then
                if [ "$old" = "$new" ] || { [ -z "$newest" ] && [ "$name" = "$each" ]; }; then
                    echo "Requirement already satisfied: $each in ./lib"; continue
                fi
            fi
            for need in $(sed -n "s/^$name $new//p" "$S/index"); do
                [ -n "$(version_of "$have" "$need")" ] || done="$done $need-$(version_of "$S/index" "$need")"
            done
            done="$done $name-$new"
        done
        [ -z "$try" ] || { [ -z "$done" ] || echo "Would install$done"; exit 0; }
        for each in $done; do put "$have" "${each%-*}" "${each##*-}"; done
        [ -z "$done" ] || echo "Successfully installed$done" ;;
    uninstall)
        for name; do
            name=${name%%[=<>]*}; old=$(version_of "$have" "$name")
            [ -n "$old" ] || { echo "WARNING: Skipping $name as it is not installed." >&2; continue; }
            put "$have" "$name" ''
            printf 'Found existing installation: %s %s\nUninstalling %s-%s:\n  Successfully uninstalled %s-%s\n' "$name" "$old" "$name" "$old" "$name" "$old"
        done ;;
    *) refuse "$verb" "$@" ;;
    esac ;;
zypper)
    while :; do case $1 in --non-interactive|--xmlout|--quiet|--disable-repositories|--no-gpg-checks) shift ;; *) break ;; esac; done
    verb=$1; shift; try=
    while :; do
        case $1 in
        --dry-run) try=1 ;; --type) shift ;; --) shift; break ;; --*) : ;; *) break ;;
        esac
        shift
    done
    echo "<?xml version='1.0'?>"; echo '<stream>'
    end() { echo '</stream>'; exit "$1"; }
    install= upgrade= downgrade= remove=
    # Notes what becomes of a package: to which version, or nothing.
    become() {
        old=$(version_of "$S/have" "$1")
        line="<solvable type=\"package\" name=\"$1\" edition=\"${2:-$old}\" arch=\"noarch\""
        case $old/$2 in
        "$2/$2") return ;;
        /*) install="$install$line/>" ;;
        */) remove="$remove$line/>" ;;
        *) if [ "$(printf '%s\n' "$old" "$2" | sort | tail -n 1)" = "$2" ]; then upgrade="$upgrade$line edition-old=\"$old\"/>"
           else downgrade="$downgrade$line edition-old=\"$old\"/>"; fi ;;
        esac
        [ -n "$try" ] || put "$S/have" "$1" "$2"
    }
    case $verb in
    search)
        rc=104
        echo '<search-result version="0.0"><solvable-list>'
        for name; do
            old=$(version_of "$S/have" "$name"); [ -n "$old" ] || continue
            rc=0; echo "<solvable status=\"installed\" name=\"$name\" kind=\"package\" edition=\"$old\" arch=\"noarch\" repository=\"(System Packages)\"/>"
        done
        echo '</solvable-list></search-result>'
        end $rc ;;
    refresh) : >"$S/refreshed"; end 0 ;;
    install)
        for each; do
            each=${each#[+-]}; name=${each%%=*}
            [ -n "$(version_of "$S/repo" "$name")" ] && { [ "$name" = "$each" ] || has_version "$S/repo" "$name" "${each#*=}"; } || {
                echo "<message type=\"error\">No provider of &apos;$each&apos; found.</message>"; end 104
            }
        done
        for each; do
            name=${each#[+-]}; new=${name#*=}; name=${name%%=*}
            [ "$new" != "$name" ] || new=$(version_of "$S/repo" "$name")
            case $each in -*) new= ;; esac
            [ -z "$new" ] || for need in $(sed -n "s/^$name $new//p" "$S/repo"); do
                [ -n "$(version_of "$S/have" "$need")" ] || become "$need" "$(version_of "$S/repo" "$need")"
            done
            become "$name" "$new"
        done ;;
    remove) for name; do become "$name" ''; done ;;
    update|dist-upgrade)
        for name in $(cut -d ' ' -f 1 "$S/have"); do become "$name" "$(version_of "$S/repo" "$name")"; done ;;
    *) refuse "$verb" "$@" ;;
    esac
    echo '<install-summary download-size="0" packages-to-change="1">'
    for group in install upgrade downgrade remove; do
        eval "lines=\$$group"
        [ -z "$lines" ] || echo "<to-$group>$lines</to-$group>"
    done
    echo '</install-summary>'
    end 0 ;;
*) refuse "$@" ;;
esac
