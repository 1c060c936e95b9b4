# Functions for the scripts of modules. Installed once per session. POSIX sh; every name starts with xp_.
# Paths that are given to them start with / or ./ so that none is taken for an option.
xp_nl='
'
xp_has_stat=
if [ -n "${XP_STAT+known}" ]; then xp_has_stat=$XP_STAT; elif stat -c %f / >/dev/null 2>&1; then xp_has_stat=1; fi
xp_stat_format='%f %u %g %s %Y %X %Z %i %h %d %t %T %b %o :%U:%G:'

# xp_prime PATH...: looks at all of them at once, whose names are plain. A script that sets xp_at to the number of a path has its attributes from
# there in xp_stat, and its digest in xp_sum.
xp_at=
xp_prime() {
	[ -n "$xp_has_stat" ] || return 0
	xp_mask=$(umask)
	xp_lines=$(stat -c "%n $xp_stat_format" -- "$@" 2>/dev/null)
	xp_deal xp_a "$@"
	# Other things than files may never end.
	xp_files=
	for xp_p; do
		if [ -f "$xp_p" ]; then xp_files="$xp_files $xp_p"; fi
	done
	xp_lines=
	if [ -n "$xp_files" ]; then xp_lines=$(sha256sum -- $xp_files 2>/dev/null); fi
	xp_deal xp_b "$@"
}

# xp_deal NAME PATH...: sets NAME1, NAME2 and so on to the line of xp_lines about each path.
xp_deal() {
	xp_n=$1
	shift
	xp_i=0
	set -f
	IFS=$xp_nl
	for xp_v in $xp_lines; do
		while [ $# -gt 0 ]; do
			xp_i=$((xp_i + 1))
			case $xp_v in
			"$1 "* | *"  $1")
				eval "$xp_n$xp_i=\$xp_v"
				shift
				break
				;;
			esac
			eval "$xp_n$xp_i="
			shift
		done
	done
	while [ $# -gt 0 ]; do
		xp_i=$((xp_i + 1))
		eval "$xp_n$xp_i="
		shift
	done
	set +f
	unset IFS
}

# xp_sum FILE: sets xp_s to its sha256.
xp_sum() {
	if [ -n "$xp_at" ]; then
		eval "xp_v=\$xp_b$xp_at"
		case $xp_v in
		*"  $1")
			xp_s=${xp_v%%" "*}
			return 0
			;;
		esac
	fi
	xp_s=
	xp_digest_of sha256 "$1" 2>/dev/null && xp_s=$xp_d
}

# Ends the script with one line on stderr.
xp_fail() {
	printf '%s' "$*" | tr '\n' '?' >&2
	printf '\n' >&2
	exit 1
}

# The reason in a tool's error message: the first line without the names before it.
xp_why() {
	xp_w=${1%%"$xp_nl"*}
	xp_w=${xp_w##*: }
	printf '%s' "${xp_w:-it failed without saying why}"
}

# xp_do WHAT COMMAND...: runs it, or fails with "cannot WHAT: reason".
xp_do() {
	xp_what=$1
	shift
	xp_e=$(LC_ALL=C "$@" 2>&1 </dev/null) || xp_fail "cannot $xp_what: $(xp_why "$xp_e")"
}

# xp_tool COMMAND...: runs it and adds what it prints to xp_out; when it fails the script ends as it did.
xp_tool() {
	xp_o=$(LC_ALL=C "$@" </dev/null) || {
		xp_rc=$?
		printf '%s\n' "$xp_o"
		exit "$xp_rc"
	}
	xp_out=${xp_out-}$xp_o
}

# xp_tell TAG TEXT: one line of a report with a text as a word.
xp_tell() {
	printf '%s ' "$1"
	xp_word "$2"
	printf '\n'
}

xp_hex() {
	printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n'
}

# Prints a text as one word: =text when it is plain, else % and its bytes in hexadecimal.
xp_word() {
	case $1 in
	*[!A-Za-z0-9_./:@%+=,-]*)
		printf '%%'
		xp_hex "$1"
		;;
	*) printf '=%s' "$1" ;;
	esac
}

# Sets xp_t to where a link leads.
xp_link() {
	xp_t=$(readlink -- "$1" && printf x) || return 1
	xp_t=${xp_t%x}
	xp_t=${xp_t%"$xp_nl"}
}

# Sets xp_t to the path with every link followed; the last part need not exist.
xp_real() {
	xp_t=$(readlink -f -- "$1" && printf x) || return 1
	xp_t=${xp_t%x}
	xp_t=${xp_t%"$xp_nl"}
}

# xp_searchable PATH: whether the nearest folder above it that exists can be searched, so that what is not there is absent.
xp_searchable() {
	xp_d=${1%/*}
	while [ -n "$xp_d" ] && [ ! -e "$xp_d" ] && [ ! -h "$xp_d" ]; do
		case $xp_d in
		*/*) xp_d=${xp_d%/*} ;;
		*) return 1 ;;
		esac
	done
	[ -x "${xp_d:-/}/." ]
}

# xp_stat [-L] PATH: one line: absent, error REASON, or the attributes; -L looks through links.
xp_stat() {
	xp_l=
	if [ "$1" = -L ]; then
		xp_l=-L
		shift
	fi
	if [ -n "$xp_at" ] && [ -z "$xp_l" ]; then
		eval "xp_v=\$xp_a$xp_at"
		case $xp_v in
		"$1 "*)
			printf '%s' "${xp_v#"$1 "}"
			if [ -h "$1" ] && xp_link "$1"; then
				printf ' '
				xp_word "$xp_t"
			fi
			printf '\n'
			return 0
			;;
		esac
	fi
	if [ ! -e "$1" ]; then
		if [ -n "$xp_l" ] || [ ! -h "$1" ]; then
			if [ -z "$xp_l" ] && [ ${#1} -lt 200 ] && xp_searchable "$1"; then
				printf 'absent\n'
				return 0
			fi
			xp_e=$(LC_ALL=C ls -d -- "$1" 2>&1)
			case $xp_e in
			*'ermission denied'* | *'not permitted'* | *'too many'* | *'Too many'* | *'too long'* | *'Input/output'* | *'Stale'*)
				printf 'error '
				xp_word "$(xp_why "$xp_e")"
				printf '\n'
				;;
			*) printf 'absent\n' ;;
			esac
			return 0
		fi
	fi
	if [ -n "$xp_has_stat" ]; then
		if xp_s=$(stat $xp_l -c "$xp_stat_format" -- "$1" 2>/dev/null); then
			printf '%s' "$xp_s"
		else
			printf 'absent\n'
			return 0
		fi
	else
		xp_stat_ls "$1" || return 0
	fi
	if [ -z "$xp_l" ] && [ -h "$1" ] && xp_link "$1"; then
		printf ' '
		xp_word "$xp_t"
	fi
	printf '\n'
}

# Without a stat program: what ls tells. Times are not known.
xp_stat_ls() {
	if ! xp_s=$(LC_ALL=C ls -ldin $xp_l -- "$1" 2>/dev/null); then
		printf 'absent\n'
		return 1
	fi
	xp_n=$(LC_ALL=C ls -ld $xp_l -- "$1" 2>/dev/null)
	set -f
	set -- $xp_s
	xp_s="ls $2 $4 $5 $6 $1 $3"
	set -- $xp_n
	set +f
	printf '%s :%s:%s:' "$xp_s" "$3" "$4"
}

# xp_stats PATH...: one line each.
xp_stats() {
	if [ -n "$xp_has_stat" ] && xp_s=$(stat -c "$xp_stat_format" -- "$@" 2>/dev/null); then
		case $xp_s in
		a* | *"$xp_nl"a*) ;;
		*)
			printf '%s\n' "$xp_s"
			return 0
			;;
		esac
	fi
	for xp_p; do xp_stat "$xp_p"; done
}

# xp_digest_of sha256|sha1|md5|sha224|sha384|sha512 FILE: sets xp_d to the digest in hexadecimal. With xp_big set by
# openssl where that is there: it takes longer to start and is four times as fast.
xp_big=
xp_digest_of() {
	if [ -n "$xp_big" ] && command -v openssl >/dev/null 2>&1 && xp_d=$(openssl dgst "-$1" <"$2" 2>/dev/null); then
		xp_d=${xp_d##* }
	elif command -v "${1}sum" >/dev/null 2>&1; then
		xp_d=$("${1}sum" <"$2") || return 1
	elif command -v openssl >/dev/null 2>&1; then
		xp_d=$(openssl dgst "-$1" <"$2") || return 1
		xp_d=${xp_d##* }
	elif [ "$1" != md5 ] && command -v shasum >/dev/null 2>&1; then
		xp_d=$(shasum -a "${1#sha}" <"$2") || return 1
	elif command -v busybox >/dev/null 2>&1; then
		xp_d=$(busybox "${1}sum" <"$2") || return 1
	else
		printf '%s\n' "there is no program for $1 digests (${1}sum, openssl, shasum)" >&2
		return 1
	fi
	xp_d=${xp_d%% *}
}

# The same, printed.
xp_digest() {
	xp_digest_of "$@" || return 1
	printf '%s\n' "$xp_d"
}

# xp_counts N WORD...: whether there are so many words.
xp_counts() { [ $# -eq $(($1 + 1)) ]; }

xp_sha256() { xp_digest sha256 "$1"; }
xp_sha1() { xp_digest sha1 "$1"; }
xp_md5() { xp_digest md5 "$1"; }

# xp_digests PATH...: the sha256 of each, one line each; - for what is no readable file.
xp_digests() {
	xp_d=$(sha256sum -- "$@" 2>/dev/null | sed -e 's/ .*//' -e 's/^\\//')
	if xp_counts $# $xp_d; then
		printf '%s\n' "$xp_d"
		return 0
	fi
	for xp_p; do
		if [ -f "$xp_p" ]; then xp_sha256 "$xp_p" 2>/dev/null || printf '%s\n' -; else printf '%s\n' -; fi
	done
}

# The number of a user or group; - when there is none.
xp_uid() {
	if [ "$1" = root ]; then printf '0\n'; else id -u -- "$1" 2>/dev/null || printf '%s\n' -; fi
}
xp_gid() {
	if [ "$1" = root ]; then
		printf '0\n'
		return 0
	fi
	xp_s=$(getent group "$1" 2>/dev/null) || xp_s=$(grep "^$1:" /etc/group 2>/dev/null)
	xp_s=${xp_s#*:*:}
	xp_s=${xp_s%%:*}
	printf '%s\n' "${xp_s:--}"
}

# xp_look PATH: what a module about a file must know: umask, lstat, and behind a link real and stat.
xp_look() {
	printf 'umask '
	umask
	printf 'lstat '
	xp_stat "$1"
	if [ -h "$1" ]; then
		if xp_real "$1"; then
			printf 'real '
			xp_word "$xp_t"
			printf '\n'
		fi
		printf 'stat '
		xp_stat -L "$1"
	fi
}

# xp_dest FILE: what a module that writes it must know: path, parent, and what xp_look tells.
xp_dest() {
	xp_d=${1%/*}
	xp_has=no
	if [ -d "${xp_d:-/}" ]; then xp_has=yes; fi
	xp_v=
	if [ -n "$xp_at" ] && [ -n "${xp_mask-}" ] && [ ! -h "$1" ]; then
		case $1 in
		*[!A-Za-z0-9_./:@%+=,-]*) ;;
		*)
			eval "xp_v=\$xp_a$xp_at"
			case $xp_v in
			"$1 "*) xp_v=${xp_v#"$1 "} ;;
			*)
				xp_v=
				if [ $xp_has = yes ] && [ ! -e "$1" ] && [ ${#1} -lt 200 ] && [ -x "${xp_d:-/}/." ]; then xp_v=absent; fi
				;;
			esac
			;;
		esac
	fi
	if [ -n "$xp_v" ]; then
		# One write: each is a packet of its own on the way.
		printf 'path =%s\nparent %s\numask %s\nlstat %s\n' "$1" "$xp_has" "$xp_mask" "$xp_v"
		return 0
	fi
	printf 'path '
	xp_word "$1"
	printf '\nparent %s\n' "$xp_has"
	xp_look "$1"
}

# Copies a file for keeping, and tells its name.
xp_backup() {
	xp_k="$1.$$.$(date +%Y-%m-%d@%H:%M:%S)~"
	xp_do "make a backup of $1" cp -p -- "$1" "$xp_k"
	printf 'backup '
	xp_word "$xp_k"
	printf '\n'
}

# Makes an empty file that did not exist, in a folder; sets xp_tmp.
xp_temp() {
	if command -v mktemp >/dev/null 2>&1; then
		xp_tmp=$(LC_ALL=C mktemp "$1/.xplay.XXXXXXXX" 2>&1) && return 0
		xp_e=$xp_tmp
		xp_tmp=
		return 1
	fi
	xp_i=0
	while [ $xp_i -lt 100 ]; do
		xp_tmp="$1/.xplay.$$.$xp_i"
		if (set -C && : >"$xp_tmp") 2>/dev/null; then return 0; fi
		xp_i=$((xp_i + 1))
	done
	xp_tmp=
	xp_e='no new file can be made there'
	return 1
}

# xp_write [options] DEST <CONTENT: replaces DEST at once and completely, or leaves it alone.
#   -s SIZE -d SHA256   what the content must be
#   -b SHA256|absent    what DEST must still be just before the change
#   -m MODE             octal; without it what umask leaves of 666
#   -o UID:GID          owner; -O: the same, but left when it is not permitted
#   -k                  keep a backup
#   -V SCRIPT           must succeed; sees the new file as $xp_tmp
#   -U                  write in place where renaming is impossible
xp_write() (
	xp_size= xp_sum= xp_before= xp_mode= xp_owner= xp_strict=1 xp_keep= xp_check= xp_unsafe= xp_tmp= xp_new=
	OPTIND=1
	while getopts s:d:b:m:o:O:kV:U xp_o; do
		case $xp_o in
		s) xp_size=$OPTARG ;;
		d) xp_sum=$OPTARG ;;
		b) xp_before=$OPTARG ;;
		m) xp_mode=$OPTARG ;;
		o) xp_owner=$OPTARG ;;
		O) xp_owner=$OPTARG xp_strict= ;;
		k) xp_keep=1 ;;
		V) xp_check=$OPTARG ;;
		U) xp_unsafe=1 ;;
		*) xp_fail 'xp_write: wrong option' ;;
		esac
	done
	shift $((OPTIND - 1))
	xp_dest=$1
	xp_dir=${xp_dest%/*}
	[ -n "$xp_dir" ] || xp_dir=/
	[ "$xp_dir" != "$xp_dest" ] || xp_dir=.
	[ -d "$xp_dir" ] || xp_fail "cannot write $xp_dest: there is no directory $xp_dir"
	[ ! -d "$xp_dest" ] || xp_fail "cannot write $xp_dest: it is a directory"
	xp_um=$(umask)
	umask 077
	trap 'xp_rc=$?; [ -z "$xp_tmp" ] || rm -f -- "$xp_tmp"; exit $xp_rc' EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	xp_temp "$xp_dir" || xp_fail "cannot write $xp_dest: $(xp_why "$xp_e")"

	[ -z "$xp_size" ] || [ "$xp_size" -lt 4194304 ] || xp_big=1
	# dd because it can wait until the data is on the disk, with tools of any age.
	xp_wait=
	if [ -n "$xp_big" ] && xp_e=$(LC_ALL=C dd of="$xp_tmp" bs=65536 2>&1); then
		# The disk takes its time, in which what was written is read back.
		LC_ALL=C dd if=/dev/null of="$xp_tmp" conv=notrunc,fsync >/dev/null 2>&1 </dev/null &
		xp_wait=$!
	elif [ -n "$xp_big" ]; then
		xp_fail "cannot write $xp_dest: $(xp_why "$xp_e")"
	elif ! xp_e=$(LC_ALL=C dd of="$xp_tmp" bs=65536 conv=fsync 2>&1); then
		case $xp_e in
		*conv* | *nvalid* | *nrecognized* | *sage:*) xp_e=$(LC_ALL=C cat 2>&1 >"$xp_tmp") || xp_fail "cannot write $xp_dest: $(xp_why "$xp_e")" ;;
		*) xp_fail "cannot write $xp_dest: $(xp_why "$xp_e")" ;;
		esac
	fi
	if [ -n "$xp_size" ]; then
		xp_n=$(($(wc -c <"$xp_tmp")))
		[ "$xp_n" -eq "$xp_size" ] || xp_fail "cannot write $xp_dest: $xp_n of $xp_size bytes arrived"
	fi
	if [ -n "$xp_sum" ]; then
		[ "$(xp_sha256 "$xp_tmp")" = "$xp_sum" ] || xp_fail "cannot write $xp_dest: what was written reads back differently"
	fi

	# An old dd that cannot wait for one file leaves it to the whole system.
	[ -z "$xp_wait" ] || wait "$xp_wait" || sync || xp_fail "cannot write $xp_dest to the disk"

	[ -e "$xp_dest" ] || xp_new=1
	if [ -n "$xp_owner" ] && ! xp_e=$(LC_ALL=C chown "$xp_owner" "$xp_tmp" 2>&1) && [ -n "$xp_strict" ]; then
		xp_fail "cannot give $xp_dest to $xp_owner: $(xp_why "$xp_e")"
	fi
	if [ -z "$xp_new" ] && command -v setfacl >/dev/null 2>&1; then
		case $(ls -ld -- "$xp_dest") in
		??????????+*) getfacl -cp -- "$xp_dest" 2>/dev/null | setfacl --set-file=- -- "$xp_tmp" 2>/dev/null ;;
		esac
	fi
	if [ -n "$xp_mode" ]; then
		xp_do "set the mode of $xp_dest" chmod "$xp_mode" "$xp_tmp"
	else
		umask "$xp_um"
		xp_do "set the mode of $xp_dest" chmod =rw "$xp_tmp"
		umask 077
	fi
	xp_selinux=
	if [ -e /sys/fs/selinux/enforce ] || [ -e /selinux/enforce ]; then
		xp_selinux=1
		[ -n "$xp_new" ] || chcon --reference="$xp_dest" "$xp_tmp" 2>/dev/null
	fi
	if [ -n "$xp_check" ]; then
		xp_e=$(eval "$xp_check" 2>&1 </dev/null)
		xp_rc=$?
		if [ $xp_rc -ne 0 ]; then
			printf 'failed to validate: rc:%s error:%s\n' "$xp_rc" "$xp_e" >&2
			exit 1
		fi
	fi

	case $xp_before in
	'') ;;
	absent) if [ -e "$xp_dest" ] || [ -h "$xp_dest" ]; then xp_fail "$xp_dest was made by somebody else in the meantime; it was left alone"; fi ;;
	*) [ "$(xp_sha256 "$xp_dest" 2>/dev/null)" = "$xp_before" ] || xp_fail "$xp_dest was changed by somebody else in the meantime; it was left alone" ;;
	esac
	[ -z "$xp_keep" ] || [ -n "$xp_new" ] || xp_backup "$xp_dest"
	if xp_e=$(LC_ALL=C mv -f -- "$xp_tmp" "$xp_dest" 2>&1 </dev/null); then
		xp_tmp=
	elif [ -n "$xp_unsafe" ]; then
		xp_e=$(LC_ALL=C cp -- "$xp_tmp" "$xp_dest" 2>&1) || xp_fail "cannot write $xp_dest in place: $(xp_why "$xp_e")"
	else
		case $xp_e in
		*busy*) xp_fail "cannot replace $xp_dest: it is a mount point of its own (unsafe_writes: true writes in place)" ;;
		*) xp_fail "cannot replace $xp_dest: $(xp_why "$xp_e")" ;;
		esac
	fi
	if [ -n "$xp_selinux" ] && [ -n "$xp_new" ]; then restorecon -- "$xp_dest" 2>/dev/null; fi
	printf 'stat '
	xp_stat "$xp_dest"
)

# Marks of commands that must not run twice. `xp_once RUN NAME TOKEN first|again [shell]` sets xp_once to the beginning of
# the names of this command's files, or to nothing where no mark can be made. A command that was begun before is not begun
# again: this waits for its end, prints its outputs and sets xp_once_rc to how it ended, or to 213 with TOKEN when nobody
# knows. Whoever makes the mark must stay until the end: with `shell` it is the session's own.
xp_once_dir() {
	xp_once_base=
	case ${HOME:-} in
	/?*) if [ -d "$HOME" ] && [ -w "$HOME" ]; then xp_once_base=$HOME/.xplay; fi ;;
	esac
	[ -n "$xp_once_base" ] || xp_once_base=/var/tmp/.xplay-$(id -u)
	xp_once_d=$xp_once_base/once-$1
}
# xp_born LINE: sets xp_v to when the process of a line in /proc/PID/stat began; nothing for a dead one.
xp_born() {
	set -- ${1##*\)}
	[ $# -lt 20 ] || [ "$1" = Z ] || shift 19
	xp_v=${1-}
}
xp_once_born() {
	xp_v=
	if read -r xp_v <"/proc/$1/stat"; then xp_born "$xp_v"; fi 2>/dev/null
}
# xp_who: sets xp_v to the number of this process, when it began, and which start of the system it is.
xp_boot=0
[ ! -r /proc/sys/kernel/random/boot_id ] || read -r xp_boot </proc/sys/kernel/random/boot_id
xp_who() {
	xp_p=
	xp_v=
	if [ -r /proc/self/stat ]; then
		read -r xp_p </proc/self/stat
		xp_born "$xp_p"
	fi
	xp_p=${xp_p%% *}
	xp_v="${xp_p:-0} ${xp_v:-0} $xp_boot"
}
xp_who
xp_me=$xp_v
xp_once_lost() {
	echo "$1 $2" >&2
	xp_once_rc=213
}
xp_once_without() {
	[ "$4" != again ] || xp_once_lost "$3" unmarked
}
xp_once() {
	xp_once_dir "$1"
	xp_once=
	xp_once_rc=
	if [ ! -d "$xp_once_d" ]; then
		[ -d "$xp_once_base" ] || mkdir -m 700 "$xp_once_base" 2>/dev/null
		if [ -L "$xp_once_base" ] || [ ! -O "$xp_once_base" ]; then xp_once_without "$@"; return 0; fi
		if ! mkdir -m 700 "$xp_once_d" 2>/dev/null && [ ! -d "$xp_once_d" ]; then xp_once_without "$@"; return 0; fi
	fi
	xp_once_f=$xp_once_d/$2
	if [ ! -e "$xp_once_f.i" ]; then
		xp_v=$xp_me
		[ -n "${5-}" ] || xp_who
		xp_once_w=
		set -C
		if { { printf '%s\n' "$xp_v" || xp_once_w=full; } >"$xp_once_f.i"; } 2>/dev/null; then
			set +C
			if [ -z "$xp_once_w" ]; then
				xp_once=$xp_once_f
				return 0
			fi
			# There is no room for a mark.
			rm -f "$xp_once_f.i"
		fi
		set +C
		if [ ! -e "$xp_once_f.i" ]; then xp_once_without "$@"; return 0; fi
	fi
	while [ ! -s "$xp_once_f.rc" ]; do
		read -r xp_once_p xp_once_s xp_once_b <"$xp_once_f.i"
		if [ "$xp_boot" != "$xp_once_b" ]; then
			xp_once_lost "$3" rebooted
			return 0
		fi
		xp_once_born "$xp_once_p"
		if [ -z "$xp_once_p" ] || [ "${xp_v:-gone}" != "$xp_once_s" ]; then
			[ ! -s "$xp_once_f.rc" ] || break
			xp_once_lost "$3" died
			return 0
		fi
		sleep 0.2 2>/dev/null || sleep 1
	done
	[ ! -s "$xp_once_f.o" ] || cat "$xp_once_f.o"
	[ ! -s "$xp_once_f.e" ] || cat "$xp_once_f.e" >&2
	read -r xp_once_rc <"$xp_once_f.rc"
}
# Sends the outputs of the command to its files.
xp_once_to() {
	[ -z "$xp_once" ] || exec >"$xp_once.o" 2>"$xp_once.e"
}
# Ends as the command did, which ended now or, without an argument, before.
xp_once_end() {
	[ $# -gt 0 ] || return "$xp_once_rc"
	[ -n "$xp_once" ] || return "$1"
	xp_once_w=
	{ echo "$1" >"$xp_once.rc"; } 2>/dev/null || xp_once_w=full
	[ ! -s "$xp_once.o" ] || cat "$xp_once.o"
	[ ! -s "$xp_once.e" ] || cat "$xp_once.e" >&2
	[ -n "$xp_once_w" ] || return "$1"
	echo "the command ended with exit code $1, and there is no room for its whole output below $xp_once_base: is its disk full?" >&2
	[ "$1" != 0 ] || return 1
	return "$1"
}
xp_once_forget() {
	xp_once_dir "$1"
	shift
	for xp_v; do
		set -- "$@" "$xp_once_d/$xp_v.i" "$xp_once_d/$xp_v.o" "$xp_once_d/$xp_v.e" "$xp_once_d/$xp_v.rc"
		shift
	done
	rm -f -- "$@"
}
xp_once_leave() {
	xp_once_dir "$1"
	rmdir "$xp_once_d" "$xp_once_base" 2>/dev/null
	:
}
