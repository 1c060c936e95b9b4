//! The callbacks `timer`, `profile_tasks` and `profile_roles`: how long the run, its tasks and its roles took.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use indexmap::IndexMap;

use super::Reporter;
use super::mask::{MaskedWriter, Secrets};
use crate::engine::{Event, TaskHeader};

/// Columns of the lines, as Ansible has them.
const WIDTH: usize = 79;
/// Tasks that the summary names.
const LONGEST: usize = 20;

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timed {
    Run,
    Tasks,
    Roles,
}

/// Writes times between the lines of the text and behind it.
pub struct Timings<W: Write + Send> {
    out: MaskedWriter<W>,
    timed: Timed,
    started: Instant,
    last: Instant,
    current: Option<String>,
    /// By task id, or by role: the name that is shown, and the time.
    spent: IndexMap<String, (String, Duration)>,
    clock: fn() -> jiff::Zoned,
}

impl<W: Write + Send> Timings<W> {
    pub fn new(out: W, secrets: Secrets, timed: Timed) -> Self {
        let now = Instant::now();
        Timings {
            out: MaskedWriter::new(out, secrets),
            timed,
            started: now,
            last: now,
            current: None,
            spent: IndexMap::new(),
            clock: jiff::Zoned::now,
        }
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.out.line(&[("", text)])
    }

    /// The time now, since the last such line, and since the beginning.
    fn time_line(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let (since, all) = (now - self.last, now - self.started);
        self.last = now;
        let date = (self.clock)().strftime("%A %d %B %Y  %H:%M:%S %z").to_string();
        self.say(&filled(&format!("{date} ({}){}{}", clock_text(since), " ".repeat(7), clock_text(all)), '*'))
    }

    /// Counts the time until now for what ran.
    fn count(&mut self) {
        if let Some((_, spent)) = self.current.take().and_then(|key| self.spent.get_mut(&key)) {
            *spent += self.last.elapsed();
        }
    }

    fn task(&mut self, task: &TaskHeader) -> io::Result<()> {
        self.count();
        self.time_line()?;
        let (key, name) = match self.timed {
            Timed::Roles => {
                let name = role(task).unwrap_or(&task.module).to_string();
                (name.clone(), name)
            }
            _ => (task.id.clone(), task.name.clone()),
        };
        self.spent.entry(key.clone()).or_insert((name, Duration::ZERO));
        self.current = Some(key);
        Ok(())
    }

    fn summary(&mut self) -> io::Result<()> {
        if self.timed == Timed::Run {
            let seconds = self.started.elapsed().as_secs();
            let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
            return self.say(&format!(
                "Playbook run took {days} days, {hours} hours, {minutes} minutes, {} seconds",
                seconds % 60
            ));
        }
        self.count();
        self.time_line()?;
        self.say(&filled("", '='))?;
        let mut all: Vec<(String, Duration)> = self.spent.values().cloned().collect();
        all.sort_by_key(|(_, spent)| std::cmp::Reverse(*spent));
        if self.timed == Timed::Tasks {
            all.truncate(LONGEST);
        }
        for (name, spent) in &all {
            self.say(&entry(name, *spent))?;
        }
        if self.timed == Timed::Roles {
            self.say(&filled("", '~'))?;
            let total = all.iter().map(|(_, spent)| *spent).sum();
            self.say(&entry("total", total))?;
        }
        Ok(())
    }
}

/// The role in a task's name.
fn role(task: &TaskHeader) -> Option<&str> {
    task.name.strip_suffix(&task.bare_name)?.strip_suffix(" : ")
}

/// Fills a line with a character.
fn filled(text: &str, fill: char) -> String {
    let text = if text.is_empty() { String::new() } else { format!("{text} ") };
    let width = WIDTH.saturating_sub(text.chars().count()).max(3);
    format!("{text}{} ", fill.to_string().repeat(width))
}

/// A name and its seconds at the ends of a dashed line.
fn entry(name: &str, spent: Duration) -> String {
    format!("{:-<70}{:->9}", format!("{name} "), format!(" {:.2}s", spent.as_secs_f64()))
}

fn clock_text(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}:{:02}.{:03}", seconds / 3600, seconds / 60 % 60, seconds % 60, time.subsec_millis())
}

impl<W: Write + Send> Reporter for Timings<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::RunStarted { .. } => {
                self.started = Instant::now();
                self.last = self.started;
                Ok(())
            }
            Event::TaskStarted(task) if self.timed != Timed::Run => self.task(task),
            Event::RunEnded(_) => self.summary(),
            _ => Ok(()),
        }
    }

    fn idle(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::engine::Recap;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn text(timed: Timed) -> String {
        let kept = Kept::default();
        let mut timings = Timings::new(kept.clone(), Secrets::new(), timed);
        timings.clock = || "2026-11-25T10:35:28+00:00[UTC]".parse().unwrap();
        for (id, name, bare) in [("1", "r : one", "one"), ("2", "two", "two"), ("1", "r : one", "one")] {
            let header = TaskHeader {
                id: id.into(),
                name: name.into(),
                bare_name: bare.into(),
                module: "debug".into(),
                ..TaskHeader::default()
            };
            timings.event(&Event::TaskStarted(Arc::new(header))).unwrap();
        }
        timings.event(&Event::RunEnded(Arc::new(Recap::default()))).unwrap();
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let times = fancy_regex::Regex::new(r"0:00:00\.\d{3}").unwrap();
        times.replace_all(&text, "0:00:00.000").into_owned()
    }

    #[test]
    fn lines_are_those_of_the_callbacks() {
        let line = "Wednesday 25 November 2026  10:35:28 +0000 (0:00:00.000)       0:00:00.000 **** \n";
        let dashed = |name: &str| format!("{name:-<70}--- 0.00s\n");
        let double = format!("{} \n", "=".repeat(79));
        assert_eq!(text(Timed::Run), "Playbook run took 0 days, 0 hours, 0 minutes, 0 seconds\n");
        let tasks = text(Timed::Tasks);
        assert_eq!(tasks.matches(line).count(), 4);
        assert!(
            tasks.contains(&double) && tasks.contains(&dashed("r : one ")) && tasks.contains(&dashed("two "))
        );
        let roles = text(Timed::Roles);
        assert!(roles.contains(&dashed("r ")) && roles.contains(&dashed("debug ")));
        assert!(roles.ends_with(&format!("{} \n{}", "~".repeat(79), dashed("total "))));
    }
}
