//! `apt_key`: keys that apt trusts, by the old `apt-key` program.

use super::fetch::{self, Certificates};
use super::set::text;
use crate::modules::sh::{PRIVATE_DIR, Report, expand_path, q};
use crate::modules::write::attr_diff;
use crate::modules::{
    Action, ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Outcome, Prediction, Row, Rule, Seen, Thing,
    Touch, foreseen,
};
use crate::transport::Output;
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "apt_key",
    about: "Adds and removes keys that apt trusts.",
    args: &[
        ArgSpec::new("id", ArgKind::Str, "The key's number."),
        ArgSpec::new("url", ArgKind::Str, "Where to fetch it."),
        ArgSpec::new("data", ArgKind::Str, "The key itself."),
        ArgSpec::new("file", ArgKind::Path, "A file on the target that holds it."),
        ArgSpec::new("keyring", ArgKind::Path, "The file of keys to change."),
        ArgSpec::new("validate_certs", ArgKind::Bool, "Check the server's certificate.").default("yes"),
        ArgSpec::new("keyserver", ArgKind::Str, "The server of keys to ask."),
        ArgSpec::new("state", ArgKind::Str, "Whether it is trusted.")
            .default("present")
            .choices(&["absent", "present"]),
    ],
    rules: &[Rule::Exclusive(&["data", "file", "keyserver", "url"])],
    returns: &[
        ("id", "the key's number as given or found"),
        ("key_id", "the same in capitals, without prefix"),
        ("fp", "its last 16 digits"),
        ("short_id", "its last 8 digits"),
        ("before", "the keys before"),
        ("after", "the keys after a change"),
    ],
    ..ModuleSpec::BASE
};

pub struct AptKey;

/// Prints the keys of apt.
fn list(call: &Call) -> Result<String, Failure> {
    // Asked about a file that is not there the tool would make it.
    let there = match call.args.str("keyring") {
        Some(path) => format!("[ ! -e {} ] || ", q(&expand_path(call, path)?)),
        None => String::new(),
    };
    Ok(format!(
        "xp_o=$({there}LC_ALL=C apt-key{} adv --list-public-keys --keyid-format=long 2>/dev/null </dev/null) || xp_fail 'Unable to list public keys'\n\
         printf '%s\\n' \"$xp_o\" | sed -n 's/^\\(pub\\|sub\\)/key \\1/p'\n",
        keyring(call)?
    ))
}

fn keyring(call: &Call) -> Result<String, Failure> {
    Ok(match call.args.str("keyring") {
        Some(path) => format!(" --keyring {}", q(&expand_path(call, path)?)),
        None => String::new(),
    })
}

/// Returns lines that put the key into `$xp_dir/key`; none when a server of keys is asked.
fn source(call: &Call) -> Result<Option<String>, Failure> {
    let args = &call.args;
    let certificates =
        if args.flag("validate_certs") { Certificates::Checked } else { Certificates::Ignored };
    Ok(if let Some(url) = args.str("url") {
        Some(fetch::script(url, "\"$xp_dir/key\"", certificates))
    } else if let Some(path) = args.str("file") {
        let path = q(&expand_path(call, path)?);
        Some(format!("xp_do \"read the key \"{path} cp -- {path} \"$xp_dir/key\"\n"))
    } else {
        args.str("data").map(|data| format!("printf '%s\\n' {} >\"$xp_dir/key\"\n", q(data)))
    })
}

impl Module for AptKey {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let mut script = format!(
            "for xp_p in apt-key gpg; do command -v $xp_p >/dev/null 2>&1 || xp_fail \"Failed to find required executable \\\"$xp_p\\\" on the target; deb822_repository does without it\"; done\n{}GNUPGHOME=$xp_dir; export GNUPGHOME\n",
            PRIVATE_DIR
        );
        if args.str("id").is_none() {
            if args.has("keyserver") {
                return Err(Failure::new("Missing key_id, required with keyserver."));
            }
            let what = args.str("file").map_or("inline data", |file| file);
            if let Some(lines) = source(call)? {
                add!(
                    script,
                    "{lines}xp_o=$(LC_ALL=C gpg --with-colons \"$xp_dir/key\" 2>/dev/null </dev/null) || xp_fail \"Unable to extract key from '\"{}\"'\"\n\
                     printf '%s\\n' \"$xp_o\" | sed -n 's/^\\(pub\\|sub\\)/own \\1/p'\n",
                    q(what)
                );
            }
        }
        Ok(Some(script + &list(call)?))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let report = Report::of(seen)?;
        let given = match args.str("id") {
            Some(id) => Some(id.to_string()),
            None => keys(&report, "own").into_iter().next(),
        };
        let mut result = Map::from_iter([("id", Value::from(given.clone()))]);
        let Some(id) = given.as_deref().and_then(proper) else {
            let mut failure = Failure::new("Invalid key_id");
            failure.result = result;
            return Err(failure);
        };
        let short = &id[id.len() - 8..];
        let fingerprint = if id.len() > 16 { &id[id.len() - 16..] } else { id.as_str() };
        result.insert("short_id", short);
        result.insert("fp", fingerprint);
        result.insert("key_id", id.as_str());
        let before = known(&report, &id);
        result.insert("before", before.clone());
        let ring = args.str("keyring").unwrap_or_default();
        let thing = Thing { kind: "apt key", name: format!("{short} {ring}") };
        let there = match foreseen(call.world.row(&thing))? {
            Some(row) => row.is_some(),
            None => before.iter().any(|k| k == if id.len() == 8 { short } else { fingerprint }),
        };
        let wanted = args.str("state") == Some("present");
        if there == wanted {
            return Ok(Prediction::same(result));
        }
        let script = if wanted {
            add_key(call, &id)?
        } else {
            format!("xp_do 'remove the key' apt-key{} del {}\n", keyring(call)?, q(short))
        };
        let side = |on: bool| Map::from_iter([(fingerprint, if on { "present" } else { "absent" })]);
        let touch = Touch::Row { thing, row: wanted.then(Row::new) };
        let action = Action::run(format!("{script}{}", list(call)?));
        let diff = attr_diff("apt keys", side(there), side(wanted));
        Ok(Prediction::change(result, vec![action]).touch(touch).diff(diff))
    }

    fn finish(&self, call: &Call, mut prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        let Some(output) = ran.first() else { return Ok(prediction.into_outcome()) };
        if output.rc != 0 {
            return Err(Failure::from_output(output));
        }
        let id = prediction.result.get("key_id").map(Value::to_text).unwrap_or_default();
        let after = known(&Report::parse(text(&output.stdout).as_bytes()), &id);
        let fingerprint = if id.len() > 16 { &id[id.len() - 16..] } else { id.as_str() };
        let there = after.iter().any(|k| k == fingerprint);
        prediction.result.insert("after", after);
        let wanted = call.args.str("state") == Some("present");
        if there != wanted {
            let what = if wanted { "failed to add the key" } else { "the key was not removed" };
            let mut failure = Failure::new(format!(
                "apt-key did not return an error, but {what} (check that the id is correct and *not* a subkey)"
            ));
            failure.result = prediction.result;
            return Err(failure);
        }
        Ok(prediction.into_outcome())
    }
}

/// Returns the script that adds a key.
fn add_key(call: &Call, id: &str) -> Result<String, Failure> {
    let args = &call.args;
    let keyring = keyring(call)?;
    if let Some(server) = args.str("keyserver") {
        return Ok(format!(
            "xp_proxy=${{HTTPS_PROXY:-${{https_proxy:-${{HTTP_PROXY:-${{http_proxy-}}}}}}}}; set --; [ -z \"$xp_proxy\" ] || set -- --keyserver-options \"http-proxy=$xp_proxy\"\n\
             xp_i=0; until xp_e=$(LC_ALL=C apt-key{keyring} adv --no-tty --keyserver {0} \"$@\" --recv {id} 2>&1 </dev/null); do xp_i=$((xp_i + 1)); [ $xp_i -lt 5 ] || xp_fail \"Error fetching key {id} from keyserver: \"{0}\": $(xp_why \"$xp_e\")\"; done\n",
            q(server)
        ));
    }
    let lines = source(call)?
        .ok_or_else(|| Failure::new("there is no key to add: give url, data, file or keyserver"))?;
    Ok(format!("{}{lines}xp_do 'add the key' apt-key{keyring} add \"$xp_dir/key\"\n", PRIVATE_DIR))
}

/// Returns the numbers in lines of keys: `pub  rsa4096/ID ...` or `pub:..:..:..:ID:...`.
fn keys(report: &Report, tag: &str) -> Vec<String> {
    report
        .all(tag)
        .filter(|line| !line.contains("expired"))
        .filter_map(|line| {
            let colon = || line.split(':').nth(4).map(str::to_string);
            match line.split_whitespace().nth(1).and_then(|word| word.split_once('/')) {
                Some((_, id)) => Some(id.to_string()),
                None => colon(),
            }
        })
        .filter(|id| !id.is_empty())
        .collect()
}

/// Returns the known keys in the length in which they are compared.
fn known(report: &Report, id: &str) -> Vec<String> {
    let mut all = keys(report, "key");
    if id.len() == 8 {
        for key in &mut all {
            *key = key.get(key.len().saturating_sub(8)..).unwrap_or_default().to_string();
        }
    }
    all
}

/// Returns a number of 8, 16 or more digits in capitals.
fn proper(id: &str) -> Option<String> {
    let id = id.to_uppercase();
    let id = id.strip_prefix("0X").unwrap_or(&id);
    let long_enough = id.len() == 8 || id.len() >= 16;
    (long_enough && id.bytes().all(|b| b.is_ascii_hexdigit())).then(|| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Effect;
    use crate::modules::testing::{Case, args, scripts};

    const SEEN: &str = "key pub   rsa4096/DC30D7C23CBBABEE 2012-01-01 [SC] [expired: 2019-01-01]\nkey pub   rsa4096/4DFAB270CAA96DFA 2020-01-01 [SC]\nkey sub   rsa4096/8B48AD6246925553 2020-01-01 [E]\n";

    #[test]
    fn keys_are_compared() {
        let plan = |given: &[(&str, &str)]| Case::new(&AptKey, args(given)).plan(SEEN);
        assert_eq!(plan(&[("id", "0x4dfab270caa96dfa")]).unwrap().effect, Effect::Same);
        assert_eq!(plan(&[("id", "CAA96DFA")]).unwrap().effect, Effect::Same);
        let expired = plan(&[("id", "DC30D7C23CBBABEE"), ("keyserver", "k.example")]).unwrap();
        assert!(scripts(&expired)[0].contains("--keyserver 'k.example' \"$@\" --recv DC30D7C23CBBABEE"));
        let gone = plan(&[("id", "4DFAB270CAA96DFA"), ("state", "absent"), ("keyring", "/k.gpg")]).unwrap();
        assert!(
            scripts(&gone)[0]
                .starts_with("xp_do 'remove the key' apt-key --keyring '/k.gpg' del 'CAA96DFA'\n")
        );
        assert_eq!(plan(&[("id", "xyz")]).unwrap_err().msg, "Invalid key_id");
        assert_eq!(
            Case::new(&AptKey, args(&[("keyserver", "x")])).probe().unwrap_err().msg,
            "Missing key_id, required with keyserver."
        );
        let own = Case::new(&AptKey, args(&[("data", "abc")]))
            .plan(format!("own pub:-:4096:1:4DFAB270CAA96DFA:1:::-:::scESC:\n{SEEN}"));
        assert_eq!(own.unwrap().result.get("key_id").unwrap().to_text(), "4DFAB270CAA96DFA");
    }
}
