# Looks at a host. Prints sections: a line "@name", then lines that start with a space. A newline stands before each
# "@", as a file may end without one.
# The parts between "#part" lines are left out when they are not asked for.
# fx: for few lines, without a program; fxs: for many.
fx() { while IFS= read -r fx_v || [ -n "$fx_v" ]; do printf ' %s\n' "$fx_v"; done; }
fxs() { sed 's/^/ /'; }
fx_file() { if [ -f "$2" ] && [ -r "$2" ]; then printf '\n@%s\n' "$1"; fx <"$2"; fi; } 2>/dev/null
fx_long() { if [ -r "$2" ]; then printf '\n@%s\n' "$1"; sed 's/^/ /' "$2" 2>/dev/null; fi; }
fx_line() { if [ -r "$2" ] && IFS= read -r fx_v <"$2"; then printf ' %s %s\n' "$1" "$fx_v"; fi; }
printf '\n@env\n'
if env -0 >/dev/null 2>&1; then env -0 | tr '\n\0' '\001\n' | fxs; else env | fxs; fi
# Where each line begins with words of a tool it is left as it is.
LC_ALL=C
export LC_ALL
#part min
printf '\n@uname\n'
set -f
for fx_v in $(uname -s -n -r -m 2>/dev/null); do printf ' %s\n' "$fx_v"; done
set +f
uname -v 2>/dev/null | fx
printf '\n@fqdn\n'
hostname -f 2>/dev/null | fx
printf '\n@names\n'
# The name that the address of the own name has, as resolvers of programs tell it.
if command -v getent >/dev/null 2>&1; then
	fx_n=$(uname -n)
	fx_v=$(getent ahosts "$fx_n" 2>/dev/null)
	fx_v=${fx_v%%[!0-9a-fA-F:.]*}
	{ { [ -n "$fx_v" ] && getent hosts "$fx_v" 2>/dev/null; } || printf '%s %s\n' - "$fx_n"; } | fx
fi
printf '\n@python\n'
for fx_p in python3 /usr/libexec/platform-python python python2; do
	command -v "$fx_p" >/dev/null 2>&1 || continue
	"$fx_p" -S -c 'import sys
from posix import listdir
v = sys.version_info
def names(p):
    try:
        return listdir(p or ".")
    except OSError:
        return []
s = v >= (2, 7, 9) and ("_ssl" in sys.builtin_module_names or any(n.startswith("_ssl.") for p in sys.path[1:] for n in names(p)))
print("%s|%s|%s|%s|%s|%s|%s|%s" % (sys.executable, v[0], v[1], v[2], v[3], v[4], getattr(getattr(sys, "implementation", None), "name", "cpython"), s))' 2>/dev/null </dev/null | fx && break
done
printf '\n@lsb\n'
if command -v lsb_release >/dev/null 2>&1; then lsb_release -a 2>/dev/null </dev/null | fx; fi
printf '\n@systemd\n'
if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; then systemctl --version 2>/dev/null | sed -e 2q -e 's/^/ /' | sed 's/^\([^ ]\)/ \1/'; fi
printf '\n@have\n'
for fx_p in systemctl initctl rc-service dinitctl; do if command -v $fx_p >/dev/null 2>&1; then printf ' %s\n' $fx_p; fi; done
printf '\n@init\n %s\n' "$(readlink /sbin/init 2>/dev/null)"
printf '\n@chroot\n'
if [ -e /proc/1/root/. ]; then if [ / -ef /proc/1/root/. ]; then printf ' no\n'; else printf ' yes\n'; fi; else ls -di / 2>/dev/null | fx; fi
printf '\n@caps\n'
if command -v capsh >/dev/null 2>&1; then capsh --print 2>/dev/null </dev/null | grep '^Current' | fx; fi
fx_file iscsi /etc/iscsi/initiatorname.iscsi
fx_file nvme /etc/nvme/hostnqn
if command -v rpm >/dev/null 2>&1 && [ -e /usr/bin/apt-get ] && [ ! -e /var/lib/dpkg/status ] && rpm -q --whatprovides /usr/bin/apt-get >/dev/null 2>&1; then printf '\n@apt-of-rpm\n yes\n'; fi
if [ -e /usr/bin/dnf ] || [ -e /usr/bin/microdnf ]; then printf '\n@dnf\n'; for fx_f in /usr/bin/dnf /usr/bin/microdnf; do if [ -e $fx_f ]; then printf ' %s\n' "$(readlink -f $fx_f 2>/dev/null)"; break; fi; done; fi
for fx_f in os-release redhat-release centos-release oracle-release SuSE-release debian_version alpine-release lsb-release system-release machine-id resolv.conf; do
	fx_file "file $fx_f" "/etc/$fx_f"
done
printf '\n@id\n'
fx_v=$(id 2>/dev/null)
# Without its own words about the effective user that is the real one.
fx_e=$fx_v
fx_g=$fx_v
case $fx_v in *' euid='*) fx_e=euid=${fx_v#*" euid="} ;; esac
case $fx_v in *' egid='*) fx_g=egid=${fx_v#*" egid="} ;; esac
for fx_d in "${fx_v#*uid=}" "${fx_v#*gid=}" "${fx_e#*uid=}" "${fx_g#*gid=}"; do printf ' %s\n' "${fx_d%%[!0-9]*}"; done
fx_u=${fx_e#*uid=}
fx_u=${fx_u#*"("}
fx_u=${fx_u%%")"*}
printf ' %s\n' "$fx_u"
printf '\n@passwd\n'
{ getent passwd "$fx_u" 2>/dev/null || grep "^$fx_u:" /etc/passwd; } | fx
printf '\n@date\n'
date '+%Y|%m|%d|%H|%M|%S|%s|%Z|%z|%A|%w|%W' | fx
fx_file cmdline /proc/cmdline
fx_file uptime /proc/uptime
fx_file loadavg /proc/loadavg
fx_file comm1 /proc/1/comm
printf '\n@exists\n'
for fx_f in /run/systemd/system /run/openrc /sbin/openrc /sbin/openrc-run /etc/init /etc/init.d /dev/.run/systemd /dev/.systemd /sbin/initctl /usr/bin/dnf5 /usr/bin/dnf-3 /usr/bin/dnf /usr/bin/yum /usr/bin/apt-get /usr/bin/zypper /sbin/apk /usr/bin/pacman /usr/bin/emerge /usr/bin/rpm-ostree /run/ostree-booted /usr/bin/microdnf /sys/kernel/security/apparmor /sys/fs/selinux/enforce /selinux/enforce; do
	if [ -e "$fx_f" ]; then printf ' %s\n' "$fx_f"; fi
done
fx_file selinux-enforce /sys/fs/selinux/enforce
fx_file selinux-enforce /selinux/enforce
fx_file selinux-policyvers /sys/fs/selinux/policyvers
fx_file selinux-policyvers /selinux/policyvers
fx_file selinux-config /etc/selinux/config
fx_file fips /proc/sys/crypto/fips_enabled
for fx_f in /etc/ssh/ssh_host_*_key.pub /etc/openssh/ssh_host_*_key.pub; do
	fx_n=${fx_f##*/ssh_host_}
	fx_file "hostkey ${fx_n%_key.pub}" "$fx_f"
done
if [ -d "$fx_local" ]; then
	printf '\n@localdir\n %s\n' "$fx_local"
	for fx_f in "$fx_local"/*.fact; do
		fx_n=${fx_f##*/}
		fx_n=${fx_n%.fact}
		if [ ! -e "$fx_f" ]; then
			if [ -h "$fx_f" ]; then printf '\n@localdead %s\n' "$fx_n"; fi
		elif [ -x "$fx_f" ]; then
			# Kept in memory, as nothing may be written.
			if fx_o=$("$fx_f" 2>/dev/null </dev/null); then printf '\n@local %s\n' "$fx_n"; printf '%s\n' "$fx_o" | fxs; else
				fx_r=$?
				printf '\n@localfailed %s\n %s\n' "$fx_n" "$fx_r"
				{ "$fx_f" 2>&1 >/dev/null </dev/null; } | fx
			fi
		elif [ -f "$fx_f" ]; then
			printf '\n@local %s\n' "$fx_n"
			sed 's/^/ /' "$fx_f" 2>/dev/null
		fi
	done
fi
#part hardware
printf '\n@cpuinfo\n'
grep -E '^(processor|vendor_id|model name|Model|cpu|Vendor|physical id|core id|cpu cores|siblings|# processors|machine|platform|flags)[[:space:]]*:' /proc/cpuinfo 2>/dev/null | sed -e '/^flags/s/.*\( hypervisor\).*/flags:\1/' -e 's/^\(flags[[:space:]]*:\).\{40,\}/\1/' -e 's/^/ /'
printf '\n@flags\n'
sed -n '/^flags/{s/^flags[^:]*: */ /p;q;}' /proc/cpuinfo 2>/dev/null
printf '\n@nproc\n'
{ nproc 2>/dev/null || grep -c '^processor' /proc/cpuinfo 2>/dev/null; } | fx
fx_long meminfo /proc/meminfo
fx_long mounts /proc/mounts
printf '\n@df\n'
if command -v timeout >/dev/null 2>&1; then { timeout 10 df -Pkl || timeout 10 df -Pk; } 2>/dev/null | fxs; fi
printf '\n@dfi\n'
if command -v timeout >/dev/null 2>&1; then { timeout 10 df -Pil || timeout 10 df -Pi; } 2>/dev/null | fxs; fi
printf '\n@statfs\n'
if command -v timeout >/dev/null 2>&1 && stat -f -c %S / >/dev/null 2>&1; then
	while read -r fx_d fx_m fx_v; do
		case $fx_d in /* | *:/*) printf ' %s %s\n' "$(timeout 5 stat -f -c '%S %b %a %c %d' -- "$(printf '%b' "$fx_m")" 2>/dev/null)" "$fx_m" ;; esac
	done </proc/mounts
fi
for fx_p in uuid id label; do
	printf '\n@%ss\n' $fx_p
	if [ -d /dev/disk/by-$fx_p ]; then ls -l /dev/disk/by-$fx_p 2>/dev/null; fi
done
printf '\n@masters\n'
for fx_f in /sys/block/*/slaves/*; do if [ -e "$fx_f" ]; then fx_v=${fx_f%/slaves/*}; printf ' %s %s\n' "${fx_f##*/}" "${fx_v##*/}"; fi; done
if [ "$(id -u)" = 0 ] && command -v lvs >/dev/null 2>&1; then
	for fx_v in vgs lvs pvs; do printf '\n@%s\n' $fx_v; timeout 10 $fx_v --noheadings --nosuffix --units g --separator , 2>/dev/null </dev/null | fx; done
fi
for fx_d in /sys/block/*; do
	[ -r "$fx_d/size" ] || continue
	case $fx_d in */ram*) continue ;; esac
	printf '\n@block %s\n' "${fx_d##*/}"
	for fx_f in size removable ro queue/rotational queue/logical_block_size queue/discard_granularity queue/scheduler device/vendor device/model device/sas_address device/sas_device_handle; do fx_line "$fx_f" "$fx_d/$fx_f"; done
	for fx_p in "$fx_d"/holders/*; do if [ -e "$fx_p" ]; then printf ' holder %s %s\n' "${fx_p##*/}" "$(cat "$fx_p/dm/name" 2>/dev/null)"; fi; done
	for fx_p in "$fx_d/${fx_d##*/}"*; do
		[ -r "$fx_p/size" ] || continue
		printf ' part %s\n' "${fx_p##*/}"
		for fx_f in size start; do fx_line "$fx_f" "$fx_p/$fx_f"; done
	done
done
#part virtual
printf '\n@dmi\n'
for fx_f in bios_date bios_vendor bios_version board_asset_tag board_name board_serial board_vendor board_version chassis_asset_tag chassis_serial chassis_type chassis_vendor chassis_version product_name product_serial product_uuid product_version sys_vendor product_family; do
	fx_line "$fx_f" "/sys/class/dmi/id/$fx_f" 2>/dev/null
done
printf '\n@virt\n'
for fx_f in /.dockerenv /.dockerinit /run/.containerenv /proc/vz /proc/bc /proc/xen /proc/xen/capabilities /dev/kvm /proc/ppc64/lparcfg /proc/device-tree/hypervisor /dev/vboxdrv; do
	if [ -e "$fx_f" ]; then printf ' has %s\n' "$fx_f"; fi
done
fx_line type /sys/hypervisor/type
if [ -r /proc/1/environ ]; then printf ' init %s\n' "$( { tr '\0' '\n' </proc/1/environ; } 2>/dev/null | grep '^container=')"; fi
fx_line systemd /run/systemd/container
printf '\n@cgroup\n'
sed 's/^/ /' /proc/1/cgroup 2>/dev/null
printf '\n@virtcpu\n'
grep -Em4 '^(platform|machine|vendor_id|model name|Hardware)|hypervisor' /proc/cpuinfo 2>/dev/null | sed -e '/hypervisor/s/.*/flags: hypervisor/' -e 's/^/ /'
printf '\n@modules\n'
sed -n -e 's/^\(kvm[^ ]*\) .*/ \1/p' -e 's/^\(vboxdrv[^ ]*\) .*/ \1/p' -e 's/^\(virtio[^ ]*\) .*/ \1/p' -e 's/^\(xen[^ ]*\) .*/ \1/p' /proc/modules 2>/dev/null
#part network
for fx_d in /sys/class/net/*; do
	[ -e "$fx_d/address" ] || [ -e "$fx_d/mtu" ] || continue
	printf '\n@net %s\n' "${fx_d##*/}"
	for fx_f in address mtu operstate type speed flags bonding/mode bonding/miimon bonding/lacp_rate bonding/primary bonding/all_slaves_active bonding/slaves bridge/bridge_id bridge/stp_state bonding_slave/perm_hwaddr; do fx_line "$fx_f" "$fx_d/$fx_f" 2>/dev/null; done
	for fx_p in "$fx_d"/brif/*; do if [ -e "$fx_p" ]; then printf ' port %s\n' "${fx_p##*/}"; fi; done
	if [ -e "$fx_d/device/driver/module" ]; then printf ' module %s\n' "$(readlink "$fx_d/device/driver/module" 2>/dev/null)"; fi
	if command -v ethtool >/dev/null 2>&1; then
		ethtool -k "${fx_d##*/}" 2>/dev/null | sed -n 's/^[ \t]*\([^:]*\): \(.*[^ ]\) *$/ feature \1: \2/p'
		ethtool -T "${fx_d##*/}" 2>/dev/null | sed -n -e 's/.*SOF_TIMESTAMPING_\([A-Z_0-9]*\).*/ stamping \1/p' -e 's/.*HWTSTAMP_FILTER_\([A-Z_0-9]*\).*/ stampfilter \1/p' -e 's/.*PTP Hardware Clock: \([0-9][0-9]*\).*/ clock \1/p'
	fi
	if [ -e "$fx_d/device" ]; then printf ' device %s\n' "$(readlink "$fx_d/device" 2>/dev/null)"; fi
done 2>/dev/null
if command -v ip >/dev/null 2>&1; then
	printf '\n@addr\n'
	ip -o addr show 2>/dev/null
	printf '\n@route4\n'
	ip -4 route get 8.8.8.8 2>/dev/null | fx
	printf '\n@route4default\n'
	ip -4 route show default 2>/dev/null | fx
	printf '\n@local4\n'
	ip -4 route show table local 2>/dev/null
	printf '\n@local6\n'
	ip -6 route show table local 2>/dev/null
	printf '\n@route6\n'
	ip -6 route get 2404:6800:400a:800::1012 2>/dev/null | fx
elif command -v ifconfig >/dev/null 2>&1; then
	printf '\n@ifconfig\n'
	ifconfig -a 2>/dev/null | fx
fi
#part end
:
