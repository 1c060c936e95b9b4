//! `xcat_verify`: service or compute nodes after a boot, as a table of nodes by checks. Reads only.

use std::collections::BTreeMap;

use super::common::{self, NAMESPACES};
use super::osimage::check_name;
use super::parse::{self, Answer, Attrs};
use super::relations;
use super::sh::{Sections, add, quote, script};
use crate::modules::{ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Prediction, Relations, Seen};
use crate::value::{Map, Value};

pub struct Verify;

static SPEC: ModuleSpec = ModuleSpec {
    name: "xcat_verify",
    namespaces: NAMESPACES,
    about: "Checks booted nodes: ssh, the running image, root, mounts, and on service nodes xcatd, its database and names",
    args: &[
        ArgSpec::new("nodes", ArgKind::StrList, "Node range").required().aliases(&["noderange"]),
        ArgSpec::new("image", ArgKind::Str, "The osimage that they must run")
            .required()
            .aliases(&["osimage"]),
        ArgSpec::new("profile", ArgKind::Str, "service checks xcatd, its database, mounts and names too")
            .default("service")
            .choices(&["service", "compute"]),
        ArgSpec::new("services_off", ArgKind::StrList, "Services that must not start at boot"),
        ArgSpec::new("exports", ArgKind::StrList, "Lines that /etc/exports must hold"),
        ArgSpec::new("packages", ArgKind::StrList, "Packages that must be installed"),
        ArgSpec::new(
            "mounts",
            ArgKind::StrList,
            "Directories that must be mounted, besides those that the site table asks for",
        ),
        ArgSpec::new("root_types", ArgKind::StrList, "File systems that the root may have")
            .default("tmpfs,rootfs,ramfs"),
        ArgSpec::new("skip", ArgKind::StrList, "Checks to leave out"),
        ArgSpec::new("must_pass", ArgKind::Bool, "Fail when a check fails").default("true"),
    ],
    returns: &[
        ("table", "the table as lines for printing"),
        ("rows", "one entry for each node and check: node, check, ok, detail"),
        ("failures", "the checks that failed, in words"),
    ],
    ..ModuleSpec::BASE
};

/// The checks in the order of the table's columns.
const CHECKS: &[&str] = &[
    "ssh", "status", "image", "root", "xcatd", "database", "mounts", "names", "services", "exports",
    "packages",
];

impl Module for Verify {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn relations(&self, call: &Call) -> Relations {
        relations::of(SPEC.name, call)
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let image = call.args.str("image").unwrap_or_default();
        check_name(image)?;
        let range = quote(&common::noderange(call, "nodes")?);
        Ok(Some(script(&format!(
            "xc_run site xcat tabdump site\nxc_cap nodes xcat lsdef {range} -c -i status,statustime,provmethod\n\
             [ \"$xc_rc\" = 0 ] || exit 0\nxc_image {image}\nf=$(xc_attr rootimgdir)/rootimg/opt/xcat/xcatinfo\n\
             if [ -f \"$f\" ]; then xc_run info cat \"$f\"; fi\n\
             xc_run served xcat nodels all noderes.servicenode\n\
             x_names=$(xcat nodels all noderes.servicenode </dev/null 2>/dev/null | \
             sed -n 's/^\\([^: ]*\\): *[^ ].*/\\1/p' | sort -u | sed -n 1,200p | tr '\\n' ' ')\n\
             xc_run there xcat xdsh {range} -t 120 -z {remote}{names}{end}",
            image = quote(image),
            remote = quote(&format!("( {}for n in ", remote(call)?)),
            names = "\"${x_names:-localhost}\"",
            end = quote(
                "; do if getent hosts $n >/dev/null; then echo \"name $n ok\"; else echo \"name $n no\"; fi; done; true )"
            ),
        ))))
    }

    fn plan(&self, call: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let sections = Sections::of_probe(seen)?;
        let section = sections.get("nodes").ok_or_else(|| Failure::new("lsdef printed nothing"))?;
        let nodes = common::nodes(section)?;
        let context = Context {
            call,
            site: parse::site(sections.text("site")),
            wanted: parse::image_id(&parse::xcatinfo(sections.text("info").lines())),
            served: served(sections.text("served")),
        };
        let answers = parse::answers(sections.text("there"));
        let skip = call.args.texts("skip");
        let mut rows: Vec<Row> = Vec::new();
        for (node, attrs) in &nodes {
            for check in CHECKS.iter().filter(|c| !skip.iter().any(|s| s == *c)) {
                if let Some(verdict) = context.verdict(node, check, attrs, answers.get(node)) {
                    rows.push(Row { node: node.clone(), check, verdict });
                }
            }
        }
        let failed: Vec<String> = rows
            .iter()
            .filter(|r| !r.verdict.ok)
            .map(|r| format!("{} {}: {}", r.node, r.check, r.verdict.detail))
            .collect();
        let mut result = Map::new();
        result.insert("table", table(&rows));
        result.insert("rows", Value::list(rows.iter().map(Row::value).collect()));
        result.insert("failures", failed.clone());
        if failed.is_empty() {
            return Ok(Prediction::read(result));
        }
        let msg = format!("{} of {} checks failed: {}", failed.len(), rows.len(), failed.join("; "));
        if common::predicting(call) || !call.args.flag("must_pass") {
            return Ok(Prediction { warnings: vec![msg], ..Prediction::read(result) });
        }
        Err(Failure { msg, result, ..Failure::default() })
    }
}

/// Returns the commands to run on each node, in one line: xdsh takes one command.
fn remote(call: &Call) -> Result<String, Failure> {
    let plain = |text: &String| {
        !text.is_empty()
            && !text.starts_with('-')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "._@:+-".contains(c))
    };
    let mut line = String::from(
        "cat /opt/xcat/xcatinfo 2>/dev/null | sed \"s/^/info /\"; while read d m t o; do echo \"mount $m $t $d\"; done </proc/mounts; ",
    );
    let services = call.args.texts("services_off");
    let packages = call.args.texts("packages");
    if let Some(bad) = services.iter().chain(&packages).find(|t| !plain(t)) {
        return Err(Failure::new(format!("{bad:?} cannot be the name of a service or package")));
    }
    for service in &services {
        let unit = if service.contains('.') { service.clone() } else { format!("{service}.service") };
        add(
            &mut line,
            format_args!(
                "if ls /etc/systemd/system/*.wants/{unit} /etc/rc.d/rc[2345].d/S[0-9][0-9]{service} /etc/rc[2345].d/S[0-9][0-9]{service} 2>/dev/null | grep -q .; then \
                 echo \"service {service} on\"; else echo \"service {service} off\"; fi; "
            ),
        );
    }
    for package in &packages {
        add(
            &mut line,
            format_args!(
                "if rpm -q {package} >/dev/null 2>&1; then echo \"package {package} yes\"; else echo \"package {package} no\"; fi; "
            ),
        );
    }
    if !call.args.texts("exports").is_empty() {
        line.push_str("sed \"s/^/export /\" /etc/exports 2>/dev/null; ");
    }
    if call.args.str("profile") != Some("compute") {
        line.push_str(
            "x() { for d in /opt/xcat/bin /opt/xcat/sbin; do if [ -x $d/$1 ]; then c=$d/$1; shift; $c \"$@\"; return; fi; done; return 127; }; \
             if x lsxcatd -a >/dev/null 2>&1; then echo \"xcatd ok\"; else echo \"xcatd no rc $?\"; fi; \
             echo \"site $(x tabdump site 2>/dev/null | grep -c -v \"^#\")\"; ",
        );
    }
    Ok(line)
}

/// Returns the nodes that each service node serves.
pub fn served(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut served: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (node, lines) in parse::by_node(text) {
        for line in lines {
            let names = line.strip_prefix("noderes.servicenode:").unwrap_or(&line).trim();
            for sn in parse::comma(names) {
                served.entry(sn).or_default().push(node.clone());
            }
        }
    }
    served
}

struct Context<'a> {
    call: &'a Call<'a>,
    site: Attrs,
    wanted: Option<String>,
    served: BTreeMap<String, Vec<String>>,
}

struct Verdict {
    ok: bool,
    detail: String,
}

struct Row {
    node: String,
    check: &'static str,
    verdict: Verdict,
}

impl Row {
    fn value(&self) -> Value {
        let mut row = Map::new();
        row.insert("node", self.node.as_str());
        row.insert("check", self.check);
        row.insert("ok", self.verdict.ok);
        row.insert("detail", self.verdict.detail.as_str());
        Value::map(row)
    }
}

fn verdict(ok: bool, detail: impl Into<String>) -> Option<Verdict> {
    Some(Verdict { ok, detail: detail.into() })
}

impl Context<'_> {
    /// Returns what a check says of a node; nothing when it does not apply.
    fn verdict(&self, node: &str, check: &str, attrs: &Attrs, answer: Option<&Answer>) -> Option<Verdict> {
        let get = |key: &str| attrs.get(key).map(String::as_str).unwrap_or_default();
        match check {
            "ssh" => {
                return match answer {
                    Some(_) => verdict(true, "answers without a password"),
                    None => verdict(false, "does not answer xdsh"),
                };
            }
            "status" => {
                let detail = format!("{} {}", get("status"), get("statustime"));
                return verdict(
                    get("status") == "booted",
                    if get("status").is_empty() { "no status" } else { detail.trim() },
                );
            }
            _ => {}
        }
        // What could not be asked is told once, by ssh.
        let answer = answer?;
        let service = self.call.args.str("profile") != Some("compute");
        match check {
            "image" => self.image(answer),
            "root" => self.root(answer),
            "xcatd" if service => {
                let said = after(answer, "xcatd ").next().unwrap_or("not asked");
                verdict(
                    said == "ok",
                    if said == "ok" { "answers".to_string() } else { format!("does not answer ({said})") },
                )
            }
            "database" if service => {
                let rows: u64 =
                    after(answer, "site ").next().and_then(|n| n.trim().parse().ok()).unwrap_or(0);
                verdict(
                    rows > 0,
                    if rows > 0 {
                        format!("site table has {rows} rows")
                    } else {
                        "site table cannot be read".into()
                    },
                )
            }
            "mounts" => self.mounts(answer, service),
            "names" if service => self.names(node, answer),
            "services" => {
                words(answer, "service ", &self.call.args.texts("services_off"), "off", "starts at boot")
            }
            "exports" => self.exports(answer),
            "packages" => {
                words(answer, "package ", &self.call.args.texts("packages"), "yes", "is not installed")
            }
            _ => None,
        }
    }

    fn image(&self, answer: &Answer) -> Option<Verdict> {
        let info = parse::xcatinfo(after(answer, "info "));
        let name = info.get("IMAGENAME").map(String::as_str).unwrap_or_default();
        let wanted = self.call.args.str("image").unwrap_or_default();
        let id = parse::image_id(&info);
        if name != wanted {
            return verdict(
                false,
                format!("runs {} instead of {wanted}", if name.is_empty() { "no xCAT image" } else { name }),
            );
        }
        match (&self.wanted, id) {
            (Some(wanted), Some(id)) if *wanted == id => verdict(true, id),
            (Some(wanted), id) => verdict(
                false,
                format!("runs build {} instead of {wanted}", id.unwrap_or_else(|| "without id".into())),
            ),
            (None, id) => {
                verdict(false, format!("runs build {}, but nothing is packed", id.unwrap_or_default()))
            }
        }
    }

    fn root(&self, answer: &Answer) -> Option<Verdict> {
        // The last mount on / is the one that counts.
        let kind = after(answer, "mount ")
            .filter_map(|l| l.strip_prefix("/ "))
            .last()?
            .split(' ')
            .next()?
            .to_string();
        let allowed = self.call.args.texts("root_types");
        verdict(allowed.contains(&kind), format!("root is {kind}"))
    }

    fn mounts(&self, answer: &Answer, service: bool) -> Option<Verdict> {
        let site = |key: &str| self.site.get(key).map(String::as_str).unwrap_or_default();
        let mut wanted = self.call.args.texts("mounts");
        if service {
            // installloc and sharedtftp say what service nodes mount from the management node.
            let installloc = site("installloc");
            if let Some(dir) = installloc.rsplit(':').next().filter(|d| d.starts_with('/')) {
                wanted.push(dir.to_string());
            }
            if matches!(site("sharedtftp"), "1" | "yes" | "YES" | "Yes") {
                wanted.push(if site("tftpdir").is_empty() {
                    "/tftpboot".into()
                } else {
                    site("tftpdir").to_string()
                });
            }
        }
        wanted.sort();
        wanted.dedup();
        if wanted.is_empty() {
            return None;
        }
        let there: Vec<&str> = after(answer, "mount ").filter_map(|l| l.split(' ').next()).collect();
        let missing: Vec<&String> = wanted.iter().filter(|w| !there.contains(&w.as_str())).collect();
        if missing.is_empty() {
            return verdict(true, wanted.join(", "));
        }
        verdict(false, format!("{} not mounted", common::listed(&missing)))
    }

    fn names(&self, node: &str, answer: &Answer) -> Option<Verdict> {
        let mine = self.served.get(node)?;
        let known: Vec<&str> = after(answer, "name ").filter_map(|l| l.strip_suffix(" ok")).collect();
        let asked: Vec<&str> = after(answer, "name ").filter_map(|l| l.split(' ').next()).collect();
        let unknown: Vec<&String> =
            mine.iter().filter(|n| asked.contains(&n.as_str()) && !known.contains(&n.as_str())).collect();
        if unknown.is_empty() {
            return verdict(true, format!("{} names resolve", mine.len()));
        }
        verdict(false, format!("{} cannot be resolved", common::listed(&unknown)))
    }

    fn exports(&self, answer: &Answer) -> Option<Verdict> {
        let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let wanted = self.call.args.texts("exports");
        let there: Vec<String> = after(answer, "export ").map(squeeze).collect();
        let missing: Vec<&String> = wanted.iter().filter(|w| !there.contains(&squeeze(w))).collect();
        match (wanted.is_empty(), missing.is_empty()) {
            (true, _) => None,
            (_, true) => verdict(true, "as wanted"),
            _ => verdict(false, format!("/etc/exports lacks {}", common::listed(&missing))),
        }
    }
}

fn after<'a>(answer: &'a Answer, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    answer.lines.iter().filter_map(move |l| l.strip_prefix(prefix))
}

/// Judges lines of `PREFIX NAME WORD`: every name must have the good word.
fn words(answer: &Answer, prefix: &str, names: &[String], good: &str, bad: &str) -> Option<Verdict> {
    if names.is_empty() {
        return None;
    }
    let there: Vec<&str> = after(answer, prefix).collect();
    let wrong: Vec<&String> =
        names.iter().filter(|n| !there.contains(&format!("{n} {good}").as_str())).collect();
    if wrong.is_empty() {
        return verdict(true, format!("{} {good}", names.join(", ")));
    }
    verdict(false, format!("{} {bad}", common::listed(&wrong)))
}

/// Returns the table for people: a line for each node, a column for each check.
fn table(rows: &[Row]) -> Vec<String> {
    let checks: Vec<&str> = CHECKS.iter().copied().filter(|c| rows.iter().any(|r| r.check == *c)).collect();
    let mut nodes: Vec<&str> = rows.iter().map(|r| r.node.as_str()).collect();
    nodes.dedup();
    let first = nodes.iter().map(|n| n.len()).max().unwrap_or(0).max("node".len());
    let line = |name: &str, cell: &dyn Fn(&str) -> String| {
        let mut text = format!("{name:first$}");
        for check in &checks {
            let width = check.len().max("FAILED".len());
            add(&mut text, format_args!("  {:width$}", cell(check)));
        }
        text.trim_end().to_string()
    };
    let mut lines = vec![line("node", &str::to_string)];
    for node in nodes {
        lines.push(line(node, &|check| {
            let row = rows.iter().find(|r| r.node == node && r.check == check);
            row.map_or("-", |r| if r.verdict.ok { "ok" } else { "FAILED" }).to_string()
        }));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::common::tests::with_call;
    use super::super::sh::tests::printed;
    use super::*;
    use serde_json::json;

    fn args() -> serde_json::Value {
        json!({ "nodes": "service", "image": "svc", "services_off": ["dhcpd"], "exports": ["/install *(ro,sync)"] })
    }

    fn answer(node: &str, image: &str, service: &str) -> String {
        [
            format!("info IMAGENAME='svc'\ninfo IMAGEUUID='{image}'\ninfo NODE={node}"),
            "mount / rootfs rootfs\nmount / tmpfs tmpfs\nmount /install nfs mn:/install\nmount /tftpboot nfs mn:/tftpboot".into(),
            format!("service dhcpd {service}\nexport /install  *(ro,sync)\nxcatd ok\nsite 40\nname cn1 ok\nname cn2 no"),
            "Remote_command_rc = 0".into(),
        ]
        .join("\n")
        .lines()
        .map(|l| format!("{node}: {l}\n"))
        .collect()
    }

    fn verify(there: &str, check: bool) -> Result<Prediction, Failure> {
        let seen = printed(&[
            (
                "site",
                "#key,value,comments,disable\n\"installloc\",\"/install\",,\n\"sharedtftp\",\"1\",,\n\"tftpdir\",\"/tftpboot\",,\n",
                0,
                "",
            ),
            (
                "nodes",
                "sn1: status=booted\nsn1: statustime=11-23-2026 05:48:46\nsn2: status=booted\nsn2: statustime=\n",
                0,
                "",
            ),
            ("info", "IMAGENAME='svc'\nIMAGEUUID='u1'\n", 0, ""),
            ("served", "cn1: sn1\ncn2: sn2\nsn1: \nsn2: \n", 0, ""),
            ("there", there, 0, ""),
        ]);
        with_call(&Verify, args(), check, |call| Verify.plan(call, &seen))
    }

    #[test]
    fn tells_each_failed_check() {
        let there = format!("{}{}", answer("sn1", "u1", "off"), answer("sn2", "old", "on"));
        let failure = verify(&there, false).expect_err("failed");
        assert_eq!(
            failure.msg,
            "3 of 20 checks failed: sn2 image: runs build old instead of u1; sn2 names: cn2 cannot be resolved; sn2 \
             services: dhcpd starts at boot"
        );
        assert_eq!(
            failure
                .result
                .get("table")
                .map(|t| t.as_list().expect("lines").iter().map(|l| l.to_text() + "\n").collect::<String>())
                .as_deref(),
            Some(
                "node  ssh     status  image   root    xcatd   database  mounts  names   services  exports\n\
                 sn1   ok      ok      ok      ok      ok      ok        ok      ok      ok        ok\n\
                 sn2   ok      ok      FAILED  ok      ok      ok        ok      FAILED  FAILED    ok\n"
            )
        );
        assert!(verify(&there, true).is_ok(), "a prediction does not fail");
    }

    #[test]
    fn a_silent_node_fails_once() {
        let failure = verify(&answer("sn1", "u1", "off"), false).expect_err("failed");
        assert_eq!(failure.msg, "1 of 12 checks failed: sn2 ssh: does not answer xdsh");
    }

    #[test]
    fn passes_when_all_is_well() {
        let there = format!(
            "{}{}",
            answer("sn1", "u1", "off"),
            answer("sn2", "u1", "off").replace("cn2 no", "cn2 ok")
        );
        assert_eq!(verify(&there, false).map(|p| p.warnings).map_err(|f| f.msg), Ok(vec![]));
    }
}
