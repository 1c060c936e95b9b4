//! The callback `junit`: a test case for each task and host in an XML file, for CI systems.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indexmap::IndexMap;

use super::Reporter;
use super::mask::Secrets;
use super::results::{Emphasis, ResultStyle};
use crate::engine::{Event, HostResult, Status};
use crate::plan::render::junit::xml as xml_text;
use crate::value::Value;

/// The callback's own settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JunitOptions {
    pub dir: PathBuf,
    /// Classes are files, without the line of the task.
    pub task_class: bool,
    pub fail_on_change: bool,
    pub fail_on_ignore: bool,
    /// Leave out tasks that gather facts.
    pub without_setup: bool,
    /// Only tasks whose name begins with this.
    pub prefix: String,
    /// Part of the paths that is left out.
    pub relative_to: Option<PathBuf>,
}

/// Collects results and writes the file at the end.
pub struct JunitReport {
    options: JunitOptions,
    secrets: Secrets,
    playbook: String,
    play: String,
    started: IndexMap<String, Instant>,
    cases: Vec<Case>,
}

struct Case {
    name: String,
    class: String,
    time: Duration,
    verdict: Verdict,
    output: String,
}

enum Verdict {
    Passed,
    Failed(String),
    Skipped(String),
}

impl JunitReport {
    pub fn new(options: JunitOptions, secrets: Secrets) -> Self {
        JunitReport {
            options,
            secrets,
            playbook: String::new(),
            play: String::new(),
            started: IndexMap::new(),
            cases: Vec::new(),
        }
    }

    fn result(&mut self, r: &HostResult) {
        let setup = matches!(crate::modules::short_name(&r.task.module), Some("setup" | "gather_facts"));
        if (setup && self.options.without_setup) || !r.task.bare_name.starts_with(&self.options.prefix) {
            return;
        }
        let text = |name: &str| r.get(name).filter(|v| !v.is_null()).map(Value::to_text);
        let message =
            || text("msg").unwrap_or_else(|| format!("rc={}", text("rc").unwrap_or_else(|| "0".into())));
        let verdict = match r.status {
            Status::Changed if self.options.fail_on_change => {
                Verdict::Failed("the task changed something".into())
            }
            Status::Ignored if self.options.fail_on_ignore => Verdict::Failed(message()),
            Status::Ok | Status::Changed | Status::Ignored => Verdict::Passed,
            Status::Skipped => Verdict::Skipped(text("skip_reason").unwrap_or_else(|| "skipped".into())),
            Status::Failed | Status::Unreachable | Status::Lost => Verdict::Failed(message()),
        };
        let time = self.started.get(&r.task.id).map_or(r.elapsed, Instant::elapsed);
        self.cases.push(Case {
            name: format!("[{}] {}: {}", r.host, self.play, r.task.name),
            class: self.class(r.task.place.as_deref().unwrap_or_default()),
            time,
            verdict,
            output: ResultStyle::default().dump(&r.result, Emphasis::None, 0),
        });
    }

    fn class(&self, place: &str) -> String {
        let below = self.options.relative_to.as_ref().and_then(|dir| {
            place.strip_prefix(&*dir.to_string_lossy()).map(|rest| rest.trim_start_matches('/'))
        });
        let place = below.unwrap_or(place);
        match place.rsplit_once(".yml:") {
            Some((file, _)) if self.options.task_class => file.to_string(),
            _ => place.to_string(),
        }
    }

    fn text(&self) -> String {
        let count = |is: fn(&Verdict) -> bool| self.cases.iter().filter(|case| is(&case.verdict)).count();
        let failures = count(|v| matches!(v, Verdict::Failed(_)));
        let skipped = count(|v| matches!(v, Verdict::Skipped(_)));
        let tests = self.cases.len();
        let time = self.cases.iter().map(|case| case.time).sum::<Duration>().as_secs_f64();
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<testsuites disabled=\"0\" errors=\"0\" failures=\"{failures}\" \
             tests=\"{tests}\" time=\"{time:.6}\">\n\t<testsuite disabled=\"0\" errors=\"0\" failures=\"{failures}\" \
             name=\"{}\" skipped=\"{skipped}\" tests=\"{tests}\" time=\"{time:.6}\">\n",
            xml_text(&self.playbook)
        );
        for case in &self.cases {
            let _ = writeln!(
                text,
                "\t\t<testcase classname=\"{}\" name=\"{}\" time=\"{:.6}\">",
                xml_text(&case.class),
                xml_text(&case.name),
                case.time.as_secs_f64()
            );
            let output = xml_text(&case.output);
            let _ = match &case.verdict {
                Verdict::Passed => writeln!(text, "\t\t\t<system-out>{output}</system-out>"),
                Verdict::Skipped(why) => writeln!(text, "\t\t\t<skipped>{}</skipped>", xml_text(why)),
                Verdict::Failed(why) => writeln!(
                    text,
                    "\t\t\t<failure message=\"{}\" type=\"failure\">{output}</failure>",
                    xml_text(why)
                ),
            };
            text.push_str("\t\t</testcase>\n");
        }
        text.push_str("\t</testsuite>\n</testsuites>\n");
        text
    }

    fn write(&self) -> io::Result<()> {
        std::fs::create_dir_all(&self.options.dir)?;
        let time = jiff::Timestamp::now();
        let name = format!("{}-{}.{:06}.xml", self.playbook, time.as_second(), time.subsec_microsecond());
        std::fs::write(self.options.dir.join(name), self.secrets.mask(&self.text()).as_bytes())
    }
}

impl Reporter for JunitReport {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::PlaybookStarted { path, .. } => {
                self.playbook = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            }
            Event::PlayStarted { name, .. } => self.play.clone_from(name),
            Event::TaskStarted(task) => _ = self.started.insert(task.id.clone(), Instant::now()),
            Event::Host(r) => self.result(r),
            Event::RunEnded(_) => return self.write(),
            _ => {}
        }
        Ok(())
    }
}
