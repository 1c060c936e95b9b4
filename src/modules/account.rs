//! Accounts of a target: lines that show an entry of passwd, group and shadow, and what they print as data.
//!
//! Password hashes stay on the target: the lines print a digest of them.

use super::sh::Report;
use super::{Call, Failure, foreseen};

/// Shell functions: `xp_db DATABASE KEY` prints an entry by name or number, `xp_entry DATABASE NAME` by name,
/// `xp_all DATABASE` all of them, `xp_local DATABASE NAME` one of the local file; `xp_account NAME [local]` tells
/// about a user.
pub const LOOKUP: &str = r#"xp_all() { if command -v getent >/dev/null 2>&1; then getent "$1"; else cat "/etc/$1"; fi; }
xp_local() { XP_K=$2 awk -F: '$1 == ENVIRON["XP_K"] { line = $0 } END { if (line != "") print line }' "/etc/$1" 2>/dev/null; }
xp_db() {
	if command -v getent >/dev/null 2>&1; then getent "$1" "$2"; return 0; fi
	XP_K=$2 awk -F: '$3 == ENVIRON["XP_K"] || $1 == ENVIRON["XP_K"] { print; exit }' "/etc/$1" 2>/dev/null
}
xp_entry() {
	case $2 in
	*[!0-9]*) xp_db "$1" "$2" ;;
	*) xp_all "$1" | XP_K=$2 awk -F: '$1 == ENVIRON["XP_K"] { print; exit }' ;;
	esac
}
xp_account() {
	if [ "${2-}" = local ] && [ -z "$(xp_local passwd "$1")" ]; then return 0; fi
	xp_l=$(xp_entry passwd "$1")
	case $xp_l in "$1":*) ;; *) return 0 ;; esac
	xp_user=$1
	set -f
	IFS=:
	set -- $xp_l
	unset IFS
	set +f
	xp_pw=${2-} xp_uid=${3-} xp_gid=${4-} xp_home=${6-}
	printf 'uid %s\ngid %s\n' "$xp_uid" "$xp_gid"
	xp_tell comment "${5-}"
	xp_tell home "${6-}"
	xp_tell shell "${7-}"
	xp_all group | XP_K=$xp_user awk -F: '{ n = split($4, m, ","); for (i = 1; i <= n; i++) if (m[i] == ENVIRON["XP_K"]) { print "member " $1; break } }'
	set -f
	IFS=:
	set -- $(xp_db shadow "$xp_user" 2>/dev/null)
	unset IFS
	set +f
	[ ${#xp_pw} -gt 1 ] || xp_pw=${2-}
	[ $# -eq 0 ] || printf 'shadow %s %s %s %s %s\n' "${4:--}" "${5:--}" "${6:--}" "${7:--}" "${8:--}"
	case $xp_pw in '!'*) printf 'locked yes\n' ;; esac
	while :; do case $xp_pw in '!'*) xp_pw=${xp_pw#?} ;; *) break ;; esac; done
	printf 'hash %s\n' "$(printf '%s' "$xp_pw" | xp_sha256 /dev/stdin)"
	xp_pw=
	if [ -e "$xp_home" ]; then printf 'home_there yes\n'; fi
}
"#;

/// A user as `xp_account` tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    pub uid: u32,
    pub gid: u32,
    pub comment: String,
    pub home: String,
    pub shell: String,
    /// The names of groups that list the user as a member.
    pub member: Vec<String>,
    pub locked: bool,
    /// The SHA-256 of the password hash without the marks of a locked account.
    pub hash: String,
    /// Nothing when there is no shadow entry, or none that may be read.
    pub shadow: Option<Shadow>,
    pub home_there: bool,
}

/// The days in a shadow entry; -1 where it holds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shadow {
    pub min: i64,
    pub max: i64,
    pub warn: i64,
    pub inactive: i64,
    pub expires: i64,
}

impl Account {
    /// Returns the user, or nothing when there is none.
    pub fn of(report: &Report) -> Result<Option<Account>, Failure> {
        let Some(uid) = report.get("uid") else { return Ok(None) };
        let number = |text: &str| {
            text.parse::<u32>().map_err(|_| Failure::new(format!("cannot read the account: \"{text}\"")))
        };
        let text = |tag: &str| report.word(tag).unwrap_or_default();
        Ok(Some(Account {
            uid: number(uid)?,
            gid: number(report.need("gid")?)?,
            comment: text("comment"),
            home: text("home"),
            shell: text("shell"),
            member: report.all("member").map(str::to_string).collect(),
            locked: report.get("locked").is_some(),
            hash: report.get("hash").unwrap_or_default().to_string(),
            shadow: report.get("shadow").and_then(Shadow::parse),
            home_there: report.get("home_there").is_some(),
        }))
    }
}

impl Shadow {
    fn parse(text: &str) -> Option<Shadow> {
        let days: Vec<i64> = text.split(' ').map(|d| d.parse().unwrap_or(-1)).collect();
        let [min, max, warn, inactive, expires] = days[..] else { return None };
        Some(Shadow { min, max, warn, inactive, expires })
    }
}

/// A group's name and number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    /// Nothing for a group that an earlier step of a plan makes, with a number that nobody knows yet.
    pub gid: Option<u32>,
}

impl Group {
    /// Reads a line of the group database.
    pub fn parse(line: &str) -> Option<Group> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|n| !n.is_empty())?.to_string();
        Some(Group { name, gid: Some(fields.nth(1)?.parse().ok()?) })
    }

    /// Returns the group as earlier steps of a plan leave it, `found` being what the probe shows.
    pub fn foreseen(call: &Call, name: &str, found: Option<Group>) -> Result<Option<Group>, Failure> {
        Ok(match foreseen(call.world.group(name))? {
            None => found,
            Some((false, _)) => None,
            Some((true, gid)) => {
                let gid = gid.or(found.and_then(|g| g.gid));
                Some(Group { name: name.to_string(), gid })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_accounts() {
        let report = Report::parse(
            b"uid 1000\ngid 100\ncomment =Ada\nhome =/home/ada\nshell =/bin/sh\nmember wheel\nmember dev\n\
              shadow 0 99999 7 - 30\nlocked yes\nhash e3b0\nhome_there yes\n",
        );
        let account = Account::of(&report).unwrap().unwrap();
        assert_eq!(account.member, ["wheel", "dev"]);
        assert_eq!(account.shadow, Some(Shadow { min: 0, max: 99999, warn: 7, inactive: -1, expires: 30 }));
        assert_eq!((account.uid, account.gid, account.locked, account.home_there), (1000, 100, true, true));
        assert_eq!(Account::of(&Report::default()).unwrap(), None);
    }

    #[test]
    fn reads_groups() {
        assert_eq!(Group::parse("adm:x:4:syslog"), Some(Group { name: "adm".into(), gid: Some(4) }));
        assert_eq!(Group::parse("adm:x"), None);
        assert_eq!(Group::parse(""), None);
    }
}
