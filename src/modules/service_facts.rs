//! `service_facts`: all services of a host as facts.

use super::sh::Report;
use super::{Call, Failure, Module, ModuleSpec, Prediction, Seen};
use crate::value::{Map, Value};

static SPEC: ModuleSpec = ModuleSpec {
    name: "service_facts",
    about: "Reads the states of all services.",
    returns: &[("ansible_facts", "services: by name, with name, state, status and source")],
    ..ModuleSpec::BASE
};

pub struct ServiceFacts;

/// Each line of a tool's output gets a tag in front.
const PROBE: &str = r#"export LC_ALL=C
if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; then
	systemctl list-units --no-pager --type service --all --plain 2>/dev/null | sed 's/^/unit /'
	systemctl list-unit-files --no-pager --type service --all 2>/dev/null | sed 's/^/file /'
	xp_f=$(systemctl list-unit-files --no-pager --type service --all 2>/dev/null | awk '$1 ~ /\.service$/ && $1 !~ /@\.service$/ { print $1 }')
	set -f
	[ -z "$xp_f" ] || systemctl show -p Id -p ActiveState -- $xp_f 2>/dev/null | sed 's/^/show /'
	exit 0
fi
if command -v rc-status >/dev/null 2>&1 && command -v rc-update >/dev/null 2>&1; then
	rc-update show -v 2>&1 | grep '|' | sed 's/^/level /'
	rc-status -a -s -m 2>&1 | grep '^ ' | tr -d '[]' | sed 's/^/openrc /'
	exit 0
fi
if command -v chkconfig >/dev/null 2>&1; then
	for xp_a in '' '-l --allservices' '--list'; do
		xp_o=$(chkconfig $xp_a 2>/dev/null | grep '[0-6]:o[nf]')
		[ -z "$xp_o" ] || break
	done
	printf '%s\n' "$xp_o" | while read -r xp_n xp_l; do
		[ -n "$xp_n" ] || continue
		service "$xp_n" status >/dev/null 2>&1 </dev/null
		printf 'rh %s %s %s\n' $? "$xp_n" "$xp_l"
	done
elif command -v service >/dev/null 2>&1; then
	service --status-all 2>/dev/null </dev/null | sed 's/^/sysv /'
fi
if command -v initctl >/dev/null 2>&1; then initctl list 2>/dev/null | sed 's/^/upstart /'; fi
"#;

impl Module for ServiceFacts {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, _: &Call) -> Result<Option<String>, Failure> {
        Ok(Some(PROBE.to_string()))
    }

    fn plan(&self, _: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let report = Report::of(seen)?;
        let mut services = Map::new();
        systemd(&report, &mut services);
        others(&report, &mut services);
        if services.is_empty() {
            let msg = "Failed to find any services. This can be due to privileges or some other configuration issue.";
            return Ok(Prediction::skip("no services were found", Map::from_iter([("msg", msg)])));
        }
        let facts = Map::from_iter([("services", Value::map(services))]);
        Ok(Prediction::read(Map::from_iter([("ansible_facts", Value::map(facts))])))
    }
}

fn service(name: &str, state: &str, status: Option<&str>, source: &str) -> Value {
    let mut map = Map::new();
    map.insert("name", name);
    map.insert("state", state);
    if let Some(status) = status {
        map.insert("status", status);
    }
    map.insert("source", source);
    Value::map(map)
}

const BAD: [&str; 3] = ["not-found", "masked", "failed"];

fn systemd(report: &Report, services: &mut Map) {
    let mut statuses: Vec<(String, String, String)> = Vec::new();
    for line in report.all("unit").filter(|l| l.contains(".service")) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [name, _, active, sub, ..] = fields[..] else { continue };
        let bad = BAD.iter().find(|bad| fields[..fields.len() - 1].contains(bad));
        let state = if sub == "running" { "running" } else { "stopped" };
        statuses.push((name.to_string(), state.to_string(), bad.copied().unwrap_or(active).to_string()));
    }
    let mut active: Vec<(String, String)> = Vec::new();
    let mut state = String::new();
    let mut id = String::new();
    for line in report.all("show").chain([""]) {
        if let Some(text) = line.strip_prefix("ActiveState=") {
            state = text.to_string();
        } else if let Some(text) = line.strip_prefix("Id=") {
            id = text.to_string();
        } else if line.is_empty() {
            active.push((std::mem::take(&mut id), std::mem::take(&mut state)));
        }
    }
    for line in report.all("file").filter(|l| l.contains(".service")) {
        let mut fields = line.split_whitespace();
        let (Some(name), Some(status)) = (fields.next(), fields.next()) else { continue };
        match statuses.iter_mut().find(|(n, ..)| n == name) {
            Some((_, _, known)) if !BAD.contains(&known.as_str()) => *known = status.to_string(),
            Some(_) => {}
            None => {
                let found = active.iter().find(|(id, _)| id == name).map(|(_, state)| state.clone());
                let state = found.unwrap_or_else(|| "unknown".to_string());
                statuses.push((name.to_string(), state, status.to_string()));
            }
        }
    }
    for (name, state, status) in statuses {
        services.insert(name.as_str(), service(&name, &state, Some(&status), "systemd"));
    }
}

fn others(report: &Report, services: &mut Map) {
    for line in report.all("sysv") {
        let Some((sign, name)) = line.trim_start().strip_prefix("[ ").and_then(|l| l.split_once(" ]")) else {
            continue;
        };
        let state = if sign == "+" { "running" } else { "stopped" };
        services.insert(name.trim(), service(name.trim(), state, None, "sysv"));
    }
    for line in report.all("rh") {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [rc, name, ..] = fields[..] else { continue };
        let state = if rc == "0" { "running" } else { "stopped" };
        let status = if fields.contains(&"3:on") { "enabled" } else { "disabled" };
        services.insert(name, service(name, state, Some(status), "sysv"));
    }
    let levels: Vec<(&str, Vec<&str>)> = report
        .all("level")
        .filter_map(|l| l.split_once('|'))
        .map(|(name, levels)| (name.trim(), levels.split_whitespace().collect()))
        .collect();
    for line in report.all("openrc") {
        let mut fields = line.split_whitespace();
        let (Some(name), Some(state)) = (fields.next(), fields.next()) else { continue };
        if name == "*" {
            continue;
        }
        let Value::Map(base) = service(name, state, None, "openrc") else { continue };
        let mut map = Map::clone(&base);
        let own = levels.iter().find(|(n, _)| *n == name).map(|(_, l)| l.clone()).unwrap_or_default();
        let texts: Vec<String> = own.iter().map(|l| (*l).to_string()).collect();
        map.insert("runlevels", if texts.is_empty() { Value::Null } else { Value::from(texts) });
        services.insert(name, map);
    }
    for line in report.all("upstart") {
        let line = line.trim();
        let before = line.split(", process").next().unwrap_or(line);
        let Some((name, states)) = before.rsplit_once(' ') else { continue };
        let Some((goal, state)) = states.split_once('/') else { continue };
        let Value::Map(base) = service(name, state, None, "upstart") else { continue };
        let mut map = Map::clone(&base);
        map.insert("goal", goal);
        services.insert(name, map);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::Case;

    fn check(seen: &str, expect: &str) {
        let result = Case::new(&ServiceFacts, Map::new()).plan(seen).unwrap().result;
        let services = result.get("ansible_facts").and_then(|f| f.get("services")).unwrap();
        assert_eq!(services.repr(), expect);
    }

    #[test]
    fn reads_what_tools_print() {
        check(
            "unit UNIT LOAD ACTIVE SUB DESCRIPTION\nunit cron.service loaded active running Regular jobs\n\
             unit gone.service not-found inactive dead gone.service\nfile cron.service enabled enabled\n\
             file gone.service disabled disabled\nfile idle.service static -\nfile t@.service static -\n\
             show Id=cron.service\nshow ActiveState=active\nshow\nshow ActiveState=inactive\nshow Id=idle.service\n",
            "{'cron.service': {'name': 'cron.service', 'state': 'running', 'status': 'enabled', 'source': 'systemd'}, \
             'gone.service': {'name': 'gone.service', 'state': 'stopped', 'status': 'not-found', 'source': 'systemd'}, \
             'idle.service': {'name': 'idle.service', 'state': 'inactive', 'status': 'static', 'source': 'systemd'}, \
             't@.service': {'name': 't@.service', 'state': 'unknown', 'status': 'static', 'source': 'systemd'}}",
        );
        check(
            "sysv  [ + ]  cron\nsysv  [ - ]  x11-common\nrh 3 dhcpd 0:off 1:off 2:on 3:on 4:on 5:on 6:off\n",
            "{'cron': {'name': 'cron', 'state': 'running', 'source': 'sysv'}, \
             'x11-common': {'name': 'x11-common', 'state': 'stopped', 'source': 'sysv'}, \
             'dhcpd': {'name': 'dhcpd', 'state': 'stopped', 'status': 'enabled', 'source': 'sysv'}}",
        );
        check(
            "level  sshd | default\nlevel  hwclock |\nopenrc  sshd  started\nopenrc  hwclock  stopped\nupstart ssh start/running, process 9\n",
            "{'sshd': {'name': 'sshd', 'state': 'started', 'source': 'openrc', 'runlevels': ['default']}, \
             'hwclock': {'name': 'hwclock', 'state': 'stopped', 'source': 'openrc', 'runlevels': None}, \
             'ssh': {'name': 'ssh', 'state': 'running', 'source': 'upstart', 'goal': 'start'}}",
        );
        let nothing = Case::new(&ServiceFacts, Map::new()).plan("").unwrap();
        assert!(nothing.into_outcome().skipped);
    }
}
