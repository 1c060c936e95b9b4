//! `rpm_key`: keys that rpm trusts.

use super::fetch::{self, Certificates};
use crate::modules::sh::{PRIVATE_DIR, Report, q};
use crate::modules::write::attr_diff;
use crate::modules::{
    Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Prediction, Row, Seen, Thing, Touch,
    foreseen,
};
use crate::value::Map;

static SPEC: ModuleSpec = ModuleSpec {
    name: "rpm_key",
    about: "Adds and removes keys that rpm trusts.",
    args: &[
        ArgSpec::new("key", ArgKind::Str, "The key: a URL, a file on the target, or its number.").required(),
        ArgSpec::new("state", ArgKind::Str, "Whether it is trusted.")
            .default("present")
            .choices(&["absent", "present"]),
        ArgSpec::new("validate_certs", ArgKind::Bool, "Check the server's certificate.").default("yes"),
        ArgSpec::new("fingerprint", ArgKind::StrList, "Fingerprints of which the key must have all."),
    ],
    ..ModuleSpec::BASE
};

pub struct RpmKey;

/// What the key argument is.
enum Source<'a> {
    Url(&'a str),
    Number(&'a str),
    File(&'a str),
}

impl<'a> Source<'a> {
    fn of(key: &'a str) -> Self {
        let digits = key.strip_prefix("0x").or_else(|| key.strip_prefix("0X")).unwrap_or(key);
        if key.contains("://") {
            Source::Url(key)
        } else if digits.len() >= 8 && digits.bytes().take(8).all(|b| b.is_ascii_hexdigit()) {
            Source::Number(digits)
        } else {
            Source::File(key)
        }
    }

    /// Returns lines that put the key into `$xp_dir/key`.
    fn script(&self, call: &Call) -> String {
        let certificates =
            if call.args.flag("validate_certs") { Certificates::Checked } else { Certificates::Ignored };
        match self {
            Source::Url(url) => format!(
                "{}{}grep -q -e '-----BEGIN PGP PUBLIC KEY BLOCK-----' \"$xp_dir/key\" || xp_fail \"Not a public key: $xp_url\"\n",
                PRIVATE_DIR,
                fetch::script(url, "\"$xp_dir/key\"", certificates)
            ),
            Source::File(path) => format!(
                "{}[ -f {1} ] || xp_fail 'Not a valid key '{1}\nxp_do \"read the key \"{1} cp -- {1} \"$xp_dir/key\"\n",
                PRIVATE_DIR,
                q(&if path.starts_with('/') { (*path).to_string() } else { format!("./{path}") })
            ),
            Source::Number(_) => String::from(PRIVATE_DIR),
        }
    }
}

const GPG: &str = "xp_gpg=$(command -v gpg || command -v gpg2) || xp_fail 'Failed to find required executable \"gpg2\" on the target'\n\
    command -v rpm >/dev/null 2>&1 || xp_fail 'Failed to find required executable \"rpm\" on the target'\n\
    xp_colons() { LC_ALL=C GNUPGHOME=$xp_dir \"$xp_gpg\" --no-tty --batch --with-colons --fixed-list-mode \"$@\" 2>/dev/null; }\n";

impl Module for RpmKey {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let source = Source::of(call.args.str("key").unwrap_or_default());
        let mut script = format!("{}{GPG}", source.script(call));
        if !matches!(source, Source::Number(_)) {
            script += "xp_colons \"$xp_dir/key\" </dev/null | sed -n 's/^pub:/own pub:/p'\n";
        }
        if call.args.has("fingerprint") {
            script += "[ ! -f \"$xp_dir/key\" ] || xp_colons --import --import-options show-only --dry-run \"$xp_dir/key\" </dev/null | sed -n 's/^fpr:/fpr /p'\n";
        }
        script += "if LC_ALL=C rpm -q gpg-pubkey >/dev/null 2>&1; then LC_ALL=C rpm -q gpg-pubkey --qf '%{description}' | xp_colons - | sed 's/^/known /'; fi\n";
        Ok(Some(script))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        let source = Source::of(args.str("key").unwrap_or_default());
        let id = match source {
            Source::Number(id) => id.trim().to_uppercase(),
            _ => report
                .get("own")
                .and_then(|line| line.split(':').nth(4))
                .ok_or_else(|| Failure::new("Unexpected gpg output"))?
                .to_uppercase(),
        };
        // What gpg printed may be no number.
        let short = id.get(id.len().saturating_sub(8)..).unwrap_or(&id);
        let thing = Thing { kind: "rpm key", name: short.to_string() };
        let known = match foreseen(call.world.row(&thing))? {
            Some(row) => row.is_some(),
            None => report.all("known").any(|line| line.split(':').nth(4).is_some_and(|k| k.contains(&id))),
        };
        let wanted = args.str("state") == Some("present");
        if known == wanted {
            return Ok(Prediction::same(Map::new()));
        }
        let script = if wanted {
            if matches!(source, Source::Number(_)) {
                return Err(Failure::new("When importing a key, a valid file must be given"));
            }
            check_fingerprints(call, &report)?;
            format!("{}xp_do 'import the key' rpm --import \"$xp_dir/key\"\n", source.script(call))
        } else {
            format!("xp_do 'remove the key' rpm --erase --allmatches gpg-pubkey-{}\n", short.to_lowercase())
        };
        let side = |on: bool| Map::from_iter([(id.as_str(), if on { "present" } else { "absent" })]);
        let touch = Touch::Row { thing, row: wanted.then(Row::new) };
        let diff = attr_diff("rpm keys", side(known), side(wanted));
        Ok(Prediction::change(Map::new(), vec![Action::run(script)]).touch(touch).diff(diff))
    }
}

fn check_fingerprints(call: &Call, report: &Report) -> Result<(), Failure> {
    let wanted: Vec<String> =
        call.args.texts("fingerprint").iter().map(|f| f.replace(' ', "").to_uppercase()).collect();
    let found: Vec<&str> = report.all("fpr").filter_map(|line| line.split(':').nth(8)).collect();
    if wanted.iter().all(|w| found.contains(&w.as_str())) {
        return Ok(());
    }
    let show = |list: Vec<String>| {
        format!("{{{}}}", list.iter().map(|f| format!("'{f}'")).collect::<Vec<_>>().join(", "))
    };
    let (wanted, found) = (show(wanted), show(found.iter().map(|f| (*f).to_string()).collect()));
    Err(Failure::new(format!(
        "The specified fingerprint, '{wanted}', does not match any key fingerprints in '{found}'"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Effect;
    use crate::modules::testing::{Case, args, scripts};

    const OWN: &str = "own pub:-:4096:1:199E2F91FD431D51:1256212795:::-:::scSC::::::23::0:\nfpr ::::::::567E347AD0044ADE55BA8A5F199E2F91FD431D51:\n";
    const KNOWN: &str = "known pub:-:4096:1:199E2F91FD431D51:1256212795:::-:::scSC::::::23::0:\n";

    #[test]
    fn imports_and_removes() {
        let plan = |given: &[(&str, &str)], seen: &str| Case::new(&RpmKey, args(given)).plan(seen);
        let added = plan(&[("key", "https://a/key")], OWN).unwrap();
        assert!(scripts(&added)[0].ends_with("xp_do 'import the key' rpm --import \"$xp_dir/key\"\n"));
        assert_eq!(plan(&[("key", "/k")], &format!("{OWN}{KNOWN}")).unwrap().effect, Effect::Same);
        assert_eq!(plan(&[("key", "0xFD431D51")], KNOWN).unwrap().effect, Effect::Same);
        let gone = plan(&[("key", "FD431D51"), ("state", "absent")], KNOWN).unwrap();
        assert_eq!(scripts(&gone), ["xp_do 'remove the key' rpm --erase --allmatches gpg-pubkey-fd431d51\n"]);
        assert_eq!(
            plan(&[("key", "FD431D51")], "").unwrap_err().msg,
            "When importing a key, a valid file must be given"
        );
        let right = [("key", "/k"), ("fingerprint", "567E 347A D004 4ADE 55BA  8A5F 199E 2F91 FD43 1D51")];
        assert_eq!(plan(&right, OWN).unwrap().effect, Effect::Change);
        assert_eq!(
            plan(&[("key", "/k"), ("fingerprint", "1111 2222")], OWN).unwrap_err().msg,
            "The specified fingerprint, '{'11112222'}', does not match any key fingerprints in '{'567E347AD0044ADE55BA8A5F199E2F91FD431D51'}'"
        );
    }
}
