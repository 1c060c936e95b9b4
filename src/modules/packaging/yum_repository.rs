//! `yum_repository`: repositories of yum and dnf in their files.

use super::set::new_repositories;
use crate::modules::attrs::{Attrs, FILE_ARGS};
use crate::modules::sh::{Look, Report, expand_path, q};
use crate::modules::write::{Edit, content_diff, side};
use crate::modules::{
    Action, ArgKind, ArgSpec, Args, Call, Failure, FileAfter, Module, ModuleSpec, Outcome, Prediction, Rule,
    Seen, Touch,
};
use crate::transport::Output;
use crate::value::{Map, Value};

const fn text(name: &'static str, about: &'static str) -> ArgSpec {
    ArgSpec::new(name, ArgKind::Str, about)
}

const fn flag(name: &'static str, about: &'static str) -> ArgSpec {
    ArgSpec::new(name, ArgKind::Bool, about)
}

static SPEC: ModuleSpec = ModuleSpec {
    name: "yum_repository",
    about: "Adds and removes repositories of yum and dnf.",
    args: &[
        flag("async", "Fetch in parallel."),
        text("bandwidth", "The network's speed in bytes a second."),
        ArgSpec::new("baseurl", ArgKind::StrList, "Where it is."),
        text("cost", "How dear it is; cheaper ones come first."),
        flag("countme", "Let the server count this system."),
        text("deltarpm_metadata_percentage", "When differences are worth it."),
        text("deltarpm_percentage", "When differences are worth it."),
        text("description", "Its name for people."),
        flag("enabled", "Whether it is used."),
        flag("enablegroups", "Whether its groups count."),
        ArgSpec::new("exclude", ArgKind::StrList, "Packages not to take from it.").aliases(&["excludepkgs"]),
        text("failovermethod", "In which order addresses are tried.").choices(&["roundrobin", "priority"]),
        text("file", "The file's name, without .repo."),
        text("gpgcakey", "Where the key of the signing authority is."),
        flag("gpgcheck", "Check signatures of packages."),
        ArgSpec::new("gpgkey", ArgKind::StrList, "Where its keys are."),
        flag("module_hotfixes", "Its packages count in spite of module streams."),
        text("http_caching", "What caches may keep.").choices(&["all", "packages", "none"]),
        text("include", "Another configuration file."),
        ArgSpec::new("includepkgs", ArgKind::StrList, "Only these packages of it."),
        text("ip_resolve", "The protocol's version.").choices(&["4", "6", "IPv4", "IPv6", "whatever"]),
        flag("keepalive", "Keep connections."),
        text("keepcache", "Keep fetched packages.").choices(&["0", "1"]),
        text("metadata_expire", "How long lists are good, in seconds."),
        text("metadata_expire_filter", "Which commands may use old lists.").choices(&[
            "never",
            "read-only:past",
            "read-only:present",
            "read-only:future",
        ]),
        text("metalink", "Where its list of mirrors is."),
        text("mirrorlist", "Where its list of mirrors is."),
        text("mirrorlist_expire", "How long that list is good, in seconds."),
        text("name", "Its identifier.").required(),
        text("password", "The password for it."),
        text("priority", "Its rank; 1 is first."),
        flag("protect", "Protect its packages against others."),
        text("proxy", "The proxy to use."),
        text("proxy_password", "The proxy's password."),
        text("proxy_username", "The proxy's user."),
        flag("repo_gpgcheck", "Check signatures of lists."),
        ArgSpec::new("reposdir", ArgKind::Path, "The folder of the files.").default("/etc/yum.repos.d"),
        text("retries", "How often to try."),
        flag("s3_enabled", "Use the plugin for S3."),
        flag("skip_if_unavailable", "Go on without it."),
        text("sslcacert", "The folder of authorities.").aliases(&["ca_cert"]),
        flag("ssl_check_cert_permissions", "Check who may read certificates."),
        text("sslclientcert", "The client's certificate.").aliases(&["client_cert"]),
        text("sslclientkey", "The client's key.").aliases(&["client_key"]),
        flag("sslverify", "Check the server's certificate.").aliases(&["validate_certs"]),
        text("state", "Whether it is there.").default("present").choices(&["present", "absent"]),
        text("throttle", "The most that it may use of the network."),
        text("timeout", "How long to wait, in seconds."),
        text("ui_repoid_vars", "Variables in its identifier."),
        text("username", "The user for it."),
    ],
    shared: FILE_ARGS,
    rules: &[Rule::If { arg: "state", value: "present", needs: &["description"] }],
    returns: &[("repo", "its identifier"), ("state", "as asked for")],
    ..ModuleSpec::BASE
};

pub struct YumRepository;

fn path(call: &Call) -> Result<String, Failure> {
    let args = &call.args;
    let dir = expand_path(call, args.str("reposdir").unwrap_or_default())?;
    let file = args.str("file").or(args.str("name")).unwrap_or_default();
    Ok(format!("{}/{file}.repo", dir.trim_end_matches('/')))
}

impl Module for YumRepository {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let args = &call.args;
        let sources = ["baseurl", "mirrorlist", "metalink"];
        if args.str("state") == Some("present") && !sources.iter().any(|name| args.has(name)) {
            return Err(Failure::new(format!(
                "state is present but any of the following are missing: {}",
                sources.join(", ")
            )));
        }
        let dir = args.str("reposdir").unwrap_or_default();
        let attrs = Attrs::of(args)?;
        Ok(Some(format!(
            "[ -d {} ] || xp_fail \"Repo directory '\"{}\"' does not exist.\"\nxp_p={}\nxp_look \"$xp_p\"\n{}\
             if [ -f \"$xp_p\" ]; then printf 'content\\n'; cat -- \"$xp_p\"; fi\n",
            q(&expand_path(call, dir)?),
            q(dir),
            q(&path(call)?),
            attrs.probe("\"$xp_p\"")
        )))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let args = &call.args;
        let mut report = Report::of(seen)?;
        let mut look = Look::of(&report)?;
        let mut content = report.content.take();
        let path = path(call)?;
        let real = match &look.real {
            Some(real) if look.is_link() => real.clone(),
            _ => path.clone(),
        };
        let own = call.foreseen_file(&path)?;
        if let Some(after) = own.map_or_else(|| call.foreseen_file(&real), |after| Ok(Some(after)))? {
            content = after.content(&real, content)?;
            look = after.look(&look);
        }
        let before = String::from_utf8_lossy(content.as_deref().unwrap_or_default()).into_owned();
        let name = args.str("name").unwrap_or_default();
        let mut result = Map::from_iter([("repo", name), ("state", args.str("state").unwrap_or_default())]);
        let old = Ini::parse(&before).map_err(|line| Failure::new(format!("cannot read {path}: {line}")))?;
        let mut new = old.clone();
        new.remove(name);
        if args.str("state") == Some("present") {
            new.sections.push((name.to_string(), fields(args)));
        }
        let same = old.sorted() == new.sorted();
        if new.sections.is_empty() && !same {
            let script = format!("xp_do \"remove \"{0} rm -f -- {0}\n", q(&path));
            let touch = Touch::File { path: path.clone(), after: FileAfter::Absent };
            return Ok(Prediction::change(result, vec![Action::run(script)])
                .touch(touch)
                .diff(content_diff(&path, side(Some(before.as_bytes())), side(None))));
        }
        if same && look.file.is_none() {
            return Ok(Prediction::same(result));
        }
        let edit = Edit {
            shown: &path,
            path: &real,
            look: &look,
            report: &report,
            before: content.as_deref(),
            after: if same { content.clone().unwrap_or_default() } else { new.text().into_bytes() },
            msg: String::new(),
        };
        let mut prediction = edit.plan(call, args, std::mem::take(&mut result))?;
        prediction.result.remove("msg");
        Ok(prediction.touch(new_repositories()))
    }

    fn finish(&self, _: &Call, prediction: Prediction, ran: &[Output]) -> Result<Outcome, Failure> {
        match ran.iter().find(|o| o.rc != 0) {
            Some(output) => Err(Failure::from_output(output)),
            None => Ok(prediction.into_outcome()),
        }
    }
}

/// Returns the repository's fields in the order of names.
fn fields(args: &Args) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    for arg in SPEC.args {
        let key = match arg.name {
            "state" | "file" | "reposdir" | "name" => continue,
            "description" => "name",
            other => other,
        };
        let value = match args.get(arg.name) {
            None => continue,
            Some(Value::Bool(on)) => i32::from(*on).to_string(),
            Some(Value::List(items)) => {
                let separator = if matches!(key, "baseurl" | "gpgkey") { "\n" } else { " " };
                items.iter().map(Value::to_text).collect::<Vec<_>>().join(separator)
            }
            Some(Value::Secret(secret)) => secret.expose().to_string(),
            Some(other) => other.to_text(),
        };
        fields.push((key.to_string(), value));
    }
    fields.sort();
    fields
}

/// A file of sections with fields, as Python's configparser reads and writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ini {
    sections: Vec<(String, Vec<(String, String)>)>,
}

impl Ini {
    /// The error is the line that cannot be read.
    fn parse(text: &str) -> Result<Self, String> {
        let mut ini = Ini::default();
        for line in text.lines() {
            let bare = line.trim();
            if bare.starts_with(['#', ';']) {
                continue;
            }
            if line.starts_with([' ', '\t'])
                && let Some((_, fields)) = ini.sections.last_mut()
                && let Some((_, value)) = fields.last_mut()
            {
                value.push('\n');
                value.push_str(bare);
                continue;
            }
            if bare.is_empty() {
                continue;
            }
            if let Some(name) =
                bare.strip_prefix('[').and_then(|rest| rest.rsplit_once(']')).map(|(name, _)| name)
            {
                ini.sections.push((name.to_string(), Vec::new()));
                continue;
            }
            let Some(at) = bare.find(['=', ':']) else { return Err(line.to_string()) };
            let Some((_, fields)) = ini.sections.last_mut() else { return Err(line.to_string()) };
            let (key, value) = (bare[..at].trim().to_lowercase(), bare[at + 1..].trim().to_string());
            fields.retain(|(k, _)| *k != key);
            fields.push((key, value));
        }
        for value in ini.sections.iter_mut().flat_map(|(_, fields)| fields).map(|(_, value)| value) {
            value.truncate(value.trim_end().len());
        }
        Ok(ini)
    }

    fn remove(&mut self, name: &str) {
        self.sections.retain(|(n, _)| n != name);
    }

    /// Returns what counts, in an order that does not.
    fn sorted(&self) -> Vec<(String, Vec<(String, String)>)> {
        let mut sections = self.sections.clone();
        for (_, fields) in &mut sections {
            fields.sort();
        }
        sections.sort();
        sections
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for (name, fields) in &self.sections {
            add!(out, "[{name}]\n");
            for (key, value) in fields {
                add!(out, "{key} = {}\n", value.replace('\n', "\n\t"));
            }
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Case, args};
    use crate::modules::{DiffSide, Effect};

    fn after(given: &[(&str, &str)], before: Option<&str>) -> String {
        let seen = match before {
            None => "umask 0022\nlstat absent\n".to_string(),
            Some(text) => format!(
                "umask 0022\nlstat 81a4 0 0 {} 1 1 1 9 1 1 0 0 8 4096 :root:root:\ncontent\n{text}",
                text.len()
            ),
        };
        let prediction = Case::new(&YumRepository, args(given)).plan(seen).unwrap();
        match prediction.effect {
            Effect::Same => "-".to_string(),
            _ => match &prediction.diff[0].after {
                DiffSide::Text(text) => text.clone(),
                other => format!("{other:?}"),
            },
        }
    }

    #[test]
    fn writes_sections() {
        let given = [
            ("name", "epel"),
            ("description", "EPEL"),
            ("baseurl", "http://a,http://b"),
            ("gpgcheck", "no"),
            ("exclude", "x y"),
            ("enabled", "yes"),
        ];
        let text = "[epel]\nbaseurl = http://a\n\thttp://b\nenabled = 1\nexclude = x y\ngpgcheck = 0\nname = EPEL\n\n";
        assert_eq!(after(&given, None), text);
        assert_eq!(after(&given, Some(text)), "-");
        let other = "# comment\n[other]\nName=Other\n\n";
        assert_eq!(after(&given, Some(other)), format!("[other]\nname = Other\n\n{text}"));
        let gone = [("name", "epel"), ("state", "absent")];
        assert_eq!(after(&gone, Some(text)), "Absent");
        assert_eq!(after(&gone, Some(other)), "-");
        assert_eq!(after(&gone, None), "-");
        assert_eq!(after(&gone, Some(&format!("{other}{text}"))), "[other]\nname = Other\n\n");
    }

    #[test]
    fn demands() {
        let fails = |given: &[(&str, &str)]| Case::new(&YumRepository, args(given)).probe().unwrap_err().msg;
        assert_eq!(
            fails(&[("name", "x"), ("description", "X")]),
            "state is present but any of the following are missing: baseurl, mirrorlist, metalink"
        );
        assert_eq!(
            fails(&[("name", "x")]),
            "state is present but all of the following are missing: description"
        );
    }
}
