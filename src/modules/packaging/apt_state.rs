//! What apt knows of packages, and what of it must be installed or removed: the looking script and pure decisions.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::debver;
use crate::modules::sh::{Report, q};
use crate::modules::{Args, Failure};
use crate::template::fnmatch;

/// What every apt command runs with.
pub const ENVIRONMENT: &str = "export LC_ALL=C LANG=C LANGUAGE=C LC_MESSAGES=C DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical\n";

/// Prints when the lists of packages were fetched.
pub const CACHE_TIME: &str = "xp_lists=/var/lib/apt/lists/\neval \"$(apt-config shell xp_lists Dir::State::Lists/d 2>/dev/null)\"\n\
     xp_stamp=${xp_lists%/lists/}; xp_stamp=${xp_stamp%/apt}/apt/periodic/update-success-stamp\n\
     if [ -e \"$xp_stamp\" ]; then printf 'cache '; xp_stat \"$xp_stamp\"; elif [ -d \"$xp_lists\" ]; then printf 'cache '; xp_stat \"$xp_lists\"; fi\n";

/// Returns the lines that fetch the lists of packages, with waits between tries.
pub fn update_script(args: &Args) -> String {
    let number = |name: &str, default: i128| args.int(name).unwrap_or(default).max(0);
    format!(
        "xp_tries={}; xp_longest={}; xp_i=0\n\
         while :; do\nif [ $xp_i -ge $xp_tries ]; then printf 'Failed to update apt cache after %s retries: %s\\n' \"$xp_tries\" \"${{xp_why:-unknown reason}}\" >&2; exit 1; fi\n\
         xp_o=$(apt-get -q -o APT::Update::Error-Mode=any -o DPkg::Lock::Timeout={} update 2>&1 </dev/null); xp_rc=$?\n\
         xp_why=$(printf '%s\\n' \"$xp_o\" | grep -E '^(E:|Err:|  [^ ]|W: (Failed to fetch|Some index files failed))' | tr '\\n' ' ')\n\
         case $xp_rc:$xp_o in 0:*'W: Failed to fetch'* | 0:*'W: Some index files failed'*) ;; 0:*) break ;; esac\n\
         xp_i=$((xp_i + 1)); xp_d=1; xp_j=1\n\
         while [ $xp_j -lt $xp_i ] && [ $xp_d -lt $xp_longest ]; do xp_d=$((xp_d * 2)); xp_j=$((xp_j + 1)); done\n\
         [ $xp_d -le $xp_longest ] || xp_d=$xp_longest\n\
         printf 'warning Failed to update cache after %s retries due to %s, retrying\\n' \"$xp_i\" \"$xp_why\"\n\
         printf 'warning Sleeping for %s seconds, before attempting to refresh the cache again\\n' \"$xp_d\"\nsleep \"$xp_d\"\ndone\n",
        number("update_cache_retries", 5),
        number("update_cache_retry_max_delay", 12),
        number("lock_timeout", 60)
    )
}

/// A package as asked for: `foo`, `foo=1.0*`, `foo>=1.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    pub text: String,
    pub name: String,
    pub demand: Demand,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    Any,
    /// A version or a pattern of versions.
    Equal(String),
    AtLeast(String),
}

impl Spec {
    pub fn parse(text: &str) -> Self {
        let (name, demand) = match text.find('=') {
            None => (text, Demand::Any),
            Some(at) => match text[..at].strip_suffix('>') {
                Some(name) => (name, Demand::AtLeast(text[at + 1..].to_string())),
                None => (&text[..at], Demand::Equal(text[at + 1..].to_string())),
            },
        };
        Spec { text: text.to_string(), name: name.to_string(), demand }
    }

    fn is_pattern(&self) -> bool {
        self.name.contains(['*', '?', '[', ']', '!'])
    }
}

/// Returns the lines that tell everything that is needed about packages.
pub fn look_script(specs: &[Spec], release: Option<&str>) -> String {
    let mut script = String::from("set --");
    for spec in specs.iter().filter(|s| !s.is_pattern()) {
        add!(script, " {}", q(&spec.name));
    }
    script.push('\n');
    for (index, spec) in specs.iter().enumerate().filter(|(_, s)| s.is_pattern()) {
        let (pattern, arch) = spec.name.split_once(':').map_or((&*spec.name, ""), |(n, a)| (n, a));
        let suffix = if arch.is_empty() { String::new() } else { format!(":{arch}") };
        add!(
            script,
            "xp_pattern={}\nfor xp_n in $(apt-cache pkgnames 2>/dev/null | sort -u); do case $xp_n in $xp_pattern) set -- \"$@\" \"$xp_n\"{}; printf 'match {index} %s\\n' \"$xp_n\"{} ;; esac; done\n",
            q(pattern),
            q(&suffix),
            q(&suffix)
        );
    }
    let option =
        release.map(|r| format!(" -o {}", q(&format!("APT::Default-Release={r}")))).unwrap_or_default();
    add!(
        script,
        "if [ $# -gt 0 ]; then\n\
         apt-mark showmanual \"$@\" 2>/dev/null | sed 's/^/manual /'\n\
         xp_v=$(apt-cache showpkg \"$@\" 2>/dev/null | awk '/^Package: / {{ print \"provided \" $0; on = 0 }} /^Reverse Provides:/ {{ on = 1; next }} on {{ print \"provided \" $0 }}')\n\
         printf '%s\\n' \"$xp_v\"\n\
         set -- \"$@\" $(printf '%s\\n' \"$xp_v\" | awk '$1 == \"provided\" && $2 != \"Package:\" {{ print $2 }}' | sort -u)\n\
         dpkg-query -W -f='state ${{Package}}\\t${{Architecture}}\\t${{Version}}\\t${{Status}}\\n' \"$@\" 2>/dev/null\n\
         apt-cache{option} policy \"$@\" 2>/dev/null | sed 's/^/policy /'\nfi\n"
    );
    script
}

/// What is known of one package.
#[derive(Clone, Debug, Default)]
struct Known {
    installed: Option<String>,
    /// Removed, but its configuration is still there.
    leftovers: bool,
    candidate: Option<String>,
    /// All versions, newest first.
    versions: Vec<String>,
    /// Packages that provide it.
    providers: Vec<String>,
    manual: bool,
}

/// What the looking script found.
#[derive(Debug, Default)]
pub struct Look {
    known: BTreeMap<String, Known>,
    matches: Vec<(usize, String)>,
    native: String,
    /// When the lists were fetched, in seconds; 0 when they never were.
    pub cache_time: i64,
}

impl Look {
    pub fn of(report: &Report) -> Result<Self, Failure> {
        let mut look = Look { native: report.get("arch").unwrap_or_default().to_string(), ..Look::default() };
        if report.get("cache").is_some() {
            look.cache_time = report.stat("cache")?.map_or(0, |stat| stat.mtime);
        }
        for line in report.all("state") {
            let fields: Vec<&str> = line.split('\t').collect();
            let [name, arch, version, status] = fields.as_slice() else { continue };
            let key = look.key(&format!("{name}:{arch}"));
            let known = look.known.entry(key).or_default();
            match status.rsplit(' ').next() {
                Some("installed" | "triggers-pending" | "triggers-awaited") => {
                    known.installed = Some((*version).to_string());
                }
                Some("not-installed") | None => {}
                Some(_) => known.leftovers = true,
            }
        }
        look.policies(report);
        look.providers(report);
        for name in report.all("manual") {
            let key = look.key(name);
            look.known.entry(key).or_default().manual = true;
        }
        for line in report.all("match") {
            if let Some((index, name)) = line.split_once(' ')
                && let Ok(index) = index.parse()
            {
                look.matches.push((index, name.to_string()));
            }
        }
        Ok(look)
    }

    /// Returns the name under which a package is kept: without the architecture when it is the machine's own.
    fn key(&self, name: &str) -> String {
        match name.split_once(':') {
            Some((bare, arch)) if arch == self.native || arch == "all" => bare.to_string(),
            _ => name.to_string(),
        }
    }

    fn policies(&mut self, report: &Report) {
        let mut key = String::new();
        for line in report.all("policy") {
            if !line.starts_with(' ') {
                key = self.key(line.trim_end_matches(':'));
                self.known.entry(key.clone()).or_default();
                continue;
            }
            let Some(known) = self.known.get_mut(&key) else { continue };
            if let Some(version) = line.strip_prefix("  Candidate: ") {
                known.candidate = (version != "(none)").then(|| version.to_string());
            } else if let Some(rest) = line.strip_prefix("     ").or_else(|| line.strip_prefix(" *** "))
                && !rest.starts_with(' ')
                && let Some(version) = rest.split(' ').next()
            {
                known.versions.push(version.to_string());
            }
        }
    }

    fn providers(&mut self, report: &Report) {
        let mut key = String::new();
        for line in report.all("provided") {
            if let Some(name) = line.strip_prefix("Package: ") {
                key = self.key(name.trim());
                self.known.entry(key.clone()).or_default();
            } else if let (Some(name), Some(known)) =
                (line.split(' ').next().filter(|n| !n.is_empty()), self.known.get_mut(&key))
                && !known.providers.iter().any(|p| p == name)
            {
                known.providers.push(name.to_string());
            }
        }
    }

    fn get(&self, name: &str) -> Option<&Known> {
        // A name without any version is only spoken of by others.
        self.known
            .get(&self.key(name))
            .filter(|k| !k.versions.is_empty() || k.installed.is_some() || k.leftovers)
    }

    /// Returns the packages with patterns replaced by what they match.
    pub fn expand(&self, specs: &[Spec]) -> Result<Vec<Spec>, Failure> {
        let mut all = Vec::new();
        for (index, spec) in specs.iter().enumerate() {
            if !spec.is_pattern() {
                all.push(spec.clone());
                continue;
            }
            let mut found = self.matches.iter().filter(|(i, _)| *i == index).peekable();
            if found.peek().is_none() {
                return Err(Failure::new(format!("No package(s) matching '{}' available", spec.name)));
            }
            all.extend(found.map(|(_, name)| Spec::parse(name)));
        }
        Ok(all)
    }

    /// Whether the package could be marked as wanted by somebody and is not.
    pub fn is_automatic(&self, name: &str) -> bool {
        self.get(name).is_some_and(|k| k.installed.is_some() && !k.manual)
    }

    fn status(&self, spec: &Spec) -> Result<Status, Failure> {
        let Some(known) = self.get(&spec.name) else {
            let providers = self.known.get(&self.key(&spec.name)).map_or(&[][..], |k| &k.providers);
            return match providers {
                [] => Err(Failure::new(format!("No package matching '{}' is available", spec.name))),
                [one] if self.get(one).is_some_and(|k| k.installed.is_some()) => {
                    self.status(&Spec { name: one.clone(), ..spec.clone() })
                }
                // Which of them it becomes is the tool's choice.
                _ => Ok(Status { installable: Some(Installable::Any), ..Status::default() }),
            };
        };
        let best = match &spec.demand {
            Demand::Equal(version) => known.versions.iter().find(|v| fnmatch(version, v)),
            _ => known.candidate.as_ref(),
        };
        let Some(installed) = &known.installed else {
            return Ok(Status { installable: best.cloned().map(Installable::Version), ..Status::default() });
        };
        let fits = |version: &str| match &spec.demand {
            Demand::Any => true,
            Demand::Equal(wanted) => fnmatch(wanted, version),
            Demand::AtLeast(wanted) => debver::compare(version, wanted) != Ordering::Less,
        };
        Ok(Status {
            installed: true,
            fits: fits(installed),
            installable: best.filter(|b| *b != installed && fits(b)).cloned().map(Installable::Version),
        })
    }

    /// Returns the words for `apt-get install`.
    pub fn to_install(
        &self,
        specs: &[Spec],
        upgrade: bool,
        only_upgrade: bool,
    ) -> Result<Vec<String>, Failure> {
        let mut words = Vec::new();
        for spec in specs {
            let status = self.status(spec)?;
            if !status.installed && only_upgrade {
                continue;
            }
            match (&status.installable, &spec.demand) {
                (None, _) if !status.fits => {
                    return Err(Failure::new(format!(
                        "no available installation candidate for {}",
                        spec.text
                    )));
                }
                (Some(installable), demand) if !status.installed || upgrade || !status.fits => {
                    words.push(match (installable, demand) {
                        (Installable::Version(version), _)
                        | (_, Demand::Equal(version) | Demand::AtLeast(version)) => {
                            format!("{}={version}", spec.name)
                        }
                        (Installable::Any, Demand::Any) => spec.name.clone(),
                    });
                }
                // A pattern of versions that a newer one fits too.
                (Some(_), Demand::Equal(version)) => words.push(format!("{}={version}", spec.name)),
                _ => {}
            }
        }
        Ok(words)
    }

    /// Returns the words for `apt-get remove`.
    pub fn to_remove(&self, specs: &[Spec], purge: bool) -> Result<Vec<String>, Failure> {
        let mut words = Vec::new();
        for spec in specs {
            let Some(known) = self.get(&spec.name) else { continue };
            if self.status(spec)?.fits || (known.leftovers && purge) {
                words.push(spec.text.clone());
            }
        }
        Ok(words)
    }
}

#[derive(Debug, Default)]
struct Status {
    installed: bool,
    /// The installed version is what was asked for.
    fits: bool,
    installable: Option<Installable>,
}

#[derive(Debug)]
enum Installable {
    Version(String),
    Any,
}
