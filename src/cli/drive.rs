//! Runs the engine: reporters around it, the report file, interruptions.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};

use super::exit::{CliError, Ending};
use super::journal::Writing;
use super::mentioned;
use super::output::{Output, Voice};
use super::preflight;
use super::project::Project;
use super::prompt::{self, TerminalGuard};
use super::settings::{Format, OutputSettings, ReportTo};
use crate::diag::Diagnostic;
use crate::engine::journal::Record;
use crate::engine::{self, Extent, Halt, RunEnd, RunOptions, RunRequest};
use crate::modules::sh::PRELUDE;
use crate::plan::Guide;
use crate::report::{
    self, HtmlReport, JsonLines, JsonReport, JunitReport, Lines, LogFile, Minimal, Reporter, ResultFiles,
    SharedOut, Terminal, TerminalOptions, Timings,
};
use crate::template::{Scope, SearchPath, Tree, Var, VarMap};
use crate::transport::{Connector, HostConnector, Identity};
use crate::value::Value;

/// Events that may wait for a slow terminal.
const QUEUE: usize = 4096;
/// How long reporters may take after an interruption.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Reports that are kept in the state directory.
const KEPT_REPORTS: usize = 200;

/// Makes the runtime that a command needs which connects to hosts.
pub fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    super::system::raise_open_files();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| CliError::cannot(format!("cannot start worker threads: {e}")))
}

/// How hosts are reached, and what the run follows.
pub struct Conduct {
    pub connector: Arc<dyn Connector>,
    pub guide: Option<Arc<Guide>>,
    /// Where it is written down.
    pub journal: Option<Writing>,
}

impl Conduct {
    /// A run of its own.
    pub fn free(connector: Arc<dyn Connector>) -> Self {
        Conduct { connector, guide: None, journal: None }
    }
}

/// Runs a project with the reporters that the settings ask for, and says where the report is.
pub async fn run(
    project: Project,
    options: RunOptions,
    conduct: Conduct,
    settings: &OutputSettings,
    out: &Output,
) -> Result<Ending, CliError> {
    run_with(project, options, conduct, settings, Vec::new(), out).await
}

/// Runs a project on hosts that are reached as its inventory says, from beginning to end.
pub fn run_alone(
    project: Project,
    options: RunOptions,
    journal: Option<Writing>,
    settings: &OutputSettings,
    out: &Output,
) -> Result<Ending, CliError> {
    let connector = Arc::new(HostConnector::new(PRELUDE, Identity::from_environment()));
    let conduct = Conduct { journal, ..Conduct::free(connector) };
    let runtime = runtime()?;
    let ending = runtime.block_on(run(project, options, conduct, settings, out));
    runtime.shutdown_background();
    ending
}

/// Like [`run`], with more reporters.
pub async fn run_with(
    project: Project,
    options: RunOptions,
    conduct: Conduct,
    settings: &OutputSettings,
    more: Vec<Box<dyn Reporter>>,
    out: &Output,
) -> Result<Ending, CliError> {
    // Questions come before the display that shows how the run goes.
    preflight::prepare(&project, &options, &conduct.connector, out).await?;
    let stdout = SharedOut::new(io::BufWriter::new(io::stdout()));
    let (secrets, terminal) = (out.secrets.clone(), settings.terminal.clone());
    let mut reporters: Vec<Box<dyn Reporter>> = vec![match settings.format {
        Format::Json => Box::new(JsonReport::new(stdout.clone(), secrets)),
        Format::JsonLines => Box::new(JsonLines::new(stdout.clone(), secrets)),
        Format::Default => Box::new(Terminal::new(stdout.clone(), secrets, terminal)),
        Format::Minimal => Box::new(Minimal::new(stdout.clone(), secrets, terminal, Lines::Many)),
        Format::OneLine => Box::new(Minimal::new(stdout.clone(), secrets, terminal, Lines::One)),
    }];
    reporters.extend(more);
    let extras = &settings.extras;
    // Times belong to text for people.
    for timed in extras.timed.iter().filter(|_| settings.format == Format::Default) {
        reporters.push(Box::new(Timings::new(stdout.clone(), out.secrets.clone(), *timed)));
    }
    if let Some(path) = &extras.log {
        let user = std::env::var("USER").unwrap_or_else(|_| "root".into());
        let plain = TerminalOptions {
            color: false,
            live: false,
            // The log has everything, and what goes to stderr was said there already.
            explain_on_stderr: false,
            ..settings.terminal.clone()
        };
        match LogFile::open(path, &user) {
            Ok(file) => reporters.push(Box::new(Terminal::new(file, out.secrets.clone(), plain))),
            Err(e) => out.warning(&format!("nothing is logged: cannot open \"{}\": {e}", path.display())),
        }
    }
    if let Some(dir) = &extras.tree {
        reporters.push(Box::new(ResultFiles::new(dir.clone(), out.secrets.clone())));
    }
    if let Some(options) = &extras.junit {
        reporters.push(Box::new(JunitReport::new(options.clone(), out.secrets.clone())));
    }
    let report = report_path(&settings.report, &project, options.rehearsal, out);
    if let Some(path) = &report {
        reporters.push(Box::new(HtmlReport::new(path.clone(), out.secrets.clone())));
    }
    let ending = with_reporters(project, options, conduct, reporters, out).await;
    if let Some(path) = report.filter(|p| p.exists()) {
        out.note(&format!("report: {}", path.display()));
    }
    ending
}

/// Runs a project with these reporters.
pub async fn with_reporters(
    project: Project,
    options: RunOptions,
    conduct: Conduct,
    reporters: Vec<Box<dyn Reporter>>,
    out: &Output,
) -> Result<Ending, CliError> {
    let prompted = match conduct.journal.as_ref().and_then(|writing| writing.prompted.clone()) {
        Some(known) => known,
        None => {
            let answers = ask(&project, out)?;
            if let Some(writing) = &conduct.journal {
                writing.answered(&answers)?;
            }
            answers
        }
    };
    let mut options = options;
    if options.extent == Extent::Mentioned {
        options.extent = Extent::Groups(mentioned::subset(&project));
    }
    let halt = Halt::default();
    let limit = options.time_limit;
    let guard = TerminalGuard::new();
    let (events, queue) = mpsc::channel(QUEUE);
    let masking = out.secrets.clone();
    let sources = project.sources.clone();
    let request = RunRequest {
        playbooks: project.playbooks,
        loader: project.loader,
        inventory: project.inventory,
        options,
        templar: project.templar,
        sources: project.sources,
        extra_vars: project.extra_vars,
        connector: conduct.connector,
        secrets: Arc::new(move |text: &str| {
            masking.add(text);
        }),
        events,
        prompted,
        answers: Arc::new(prompt::Input),
        guide: conduct.guide,
        journal: conduct.journal.as_ref().map(|writing| writing.journal.clone()),
        halt: halt.clone(),
    };
    #[cfg(debug_assertions)]
    let reporters = with_accident(reporters);
    let mut reporting = tokio::spawn(report::consume(queue, reporters));
    let mut running = tokio::spawn(engine::run(request));
    let end = obeying(&mut running, &halt, limit, conduct.journal.as_ref(), out).await;
    let Some(end) = end else {
        running.abort();
        // The reporters end when the engine has let go of its side of the queue.
        let _ = tokio::time::timeout(LAST_WORDS, &mut reporting).await;
        guard.restore();
        return Err(CliError::Interrupted);
    };
    let written = reporting.await.map_err(|e| CliError::Internal(format!("a reporter failed: {e}")))?;
    let end = end.map_err(|e| CliError::Internal(format!("the engine failed: {e}")))?;
    guard.restore();
    if let Some(writing) = &conduct.journal {
        writing.ended(&end, out).await;
    }
    match written {
        Some(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            out.warning(&format!("cannot write all output: {e}"))
        }
        _ => {}
    }
    if let Some(diagnostic) = &end.error {
        out.diagnostics(&sources, [diagnostic]);
        return Err(CliError::Project);
    }
    if end.stopped {
        return Err(CliError::Interrupted);
    }
    if let Some(unanswered) = end.unanswered {
        return Err(CliError::Unanswered { question: unanswered.question, reason: unanswered.reason });
    }
    Ok(Ending::Ran(Box::new(engine::Recap::clone(&end.recap))))
}

/// Lets tests see what the words of a panic show; a program that is released has no such switch.
#[cfg(debug_assertions)]
fn with_accident(mut reporters: Vec<Box<dyn Reporter>>) -> Vec<Box<dyn Reporter>> {
    struct Accident(String);
    impl Reporter for Accident {
        fn event(&mut self, event: &engine::Event) -> io::Result<()> {
            if let engine::Event::Host(r) = event
                && let Some(msg) = r.get("msg").map(Value::to_text)
            {
                assert!(!msg.starts_with(&self.0), "{msg}");
            }
            Ok(())
        }
    }
    reporters
        .extend(std::env::var("XPLAY_PANIC_WITH").map(|text| Box::new(Accident(text)) as Box<dyn Reporter>));
    reporters
}

/// Waits for the end of the run. The first signal asks it to begin nothing new, the second to end what runs on
/// targets; the third gives nothing back. The end of the time limit counts as two at once.
async fn obeying(
    running: &mut JoinHandle<RunEnd>,
    halt: &Halt,
    limit: Option<Duration>,
    journal: Option<&Writing>,
    out: &Output,
) -> Option<Result<RunEnd, JoinError>> {
    let mut signals = Signals::new();
    let stopping = || {
        if let Some(writing) = journal {
            writing.journal.note(&Record::Stopping { at: jiff::Timestamp::now() });
        }
    };
    let mut limit = pin!(async {
        match limit {
            Some(limit) => {
                tokio::time::sleep(limit).await;
                limit
            }
            None => std::future::pending().await,
        }
    });
    let mut asked = 0;
    loop {
        tokio::select! {
            end = &mut *running => return Some(end),
            () = signals.next() => asked += 1,
            limit = &mut limit, if asked < 2 => {
                stopping();
                out.note(&format!("the time limit of {} s is over: ending what runs on the hosts", limit.as_secs()));
                while !halt.is_urgent() {
                    halt.ask();
                }
                asked = 2;
                continue;
            }
        }
        halt.ask();
        match asked {
            1 => {
                stopping();
                out.note(
                    "interrupted: steps that are running may finish; once more ends them on their hosts",
                );
            }
            2 => out.note("interrupted again: ending what runs on the hosts; once more leaves it there"),
            _ => return None,
        }
    }
}

/// The signals that ask the program to end.
struct Signals(Vec<Signal>);

impl Signals {
    fn new() -> Self {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        Signals(kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect())
    }

    async fn next(&mut self) {
        std::future::poll_fn(|context| {
            let ready = self.0.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if ready { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Returns where the report goes; a directory that cannot be made costs the report, not the run.
fn report_path(to: &ReportTo, project: &Project, rehearsal: bool, out: &Output) -> Option<PathBuf> {
    let dir = match to {
        ReportTo::Nowhere => return None,
        // Programs that call Ansible's names read everything that is said.
        ReportTo::Directory(_) if out.voice == Voice::Ansible => return None,
        ReportTo::File(path) => return Some(path.clone()),
        ReportTo::Directory(dir) => dir,
    };
    if let Err(e) = make_private_dir(dir) {
        out.warning(&format!("no report is written: cannot make \"{}\": {e}", dir.display()));
        return None;
    }
    remove_old_reports(dir);
    let name = project.playbooks.first().and_then(|p| p.path.file_stem()).unwrap_or_default();
    let kind = if rehearsal { "rehearsal-" } else { "" };
    let time = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S");
    let file = format!("{time}-{}-{kind}{}.html", std::process::id(), name.to_string_lossy());
    Some(dir.join(file))
}

/// Makes a folder for this user only.
pub fn make_private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Removes the oldest reports; their names begin with the time.
fn remove_old_reports(dir: &Path) {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut reports: Vec<PathBuf> = entries
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "html"))
        .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("20")))
        .collect();
    reports.sort();
    let surplus = reports.len().saturating_sub(KEPT_REPORTS - 1);
    for path in reports.iter().take(surplus) {
        // Somebody else may have removed it.
        let _ = std::fs::remove_file(path);
    }
}

/// Asks the questions of `vars_prompt` that `-e` does not answer. Without a terminal the defaults count.
fn ask(project: &Project, out: &Output) -> Result<VarMap, CliError> {
    let mut answers = VarMap::default();
    let plays = project.playbooks.iter().flat_map(|p| &p.plays);
    for (play, question) in plays.flat_map(|play| play.vars_prompt.iter().map(move |q| (play, q))) {
        if project.extra_vars.contains_key(&question.name) || answers.contains_key(&question.name) {
            continue;
        }
        let vars = play.vars.iter().chain(answers.iter()).chain(project.extra_vars.iter());
        let vars = vars.map(|(name, tree)| (name.clone(), tree.clone())).collect();
        let scope: Arc<dyn Scope> = Arc::new(Answer { vars, search: SearchPath::default() });
        // A prompt that cannot be rendered before the play begins is shown as it is written.
        let text = |tree: &Option<Tree>| {
            let tree = tree.as_ref()?;
            let rendered = project.templar.render(tree, &scope).map(|value| value.to_text());
            rendered.ok().or_else(|| tree.as_text().map(|text| text.to_string()))
        };
        let default = text(&question.default);
        let mut answer = if io::stdin().is_terminal() {
            let what = text(&question.prompt).unwrap_or_else(|| question.name.to_string());
            prompt::variable(&what, default.as_deref(), question.private, question.confirm)?
        } else {
            out.warning("not asking for variables: the input is not a terminal");
            match default {
                Some(default) => default,
                None => continue,
            }
        };
        if question.secret {
            out.secrets.add(&answer);
        }
        if let Some(scheme) = &question.encrypt {
            answer = hashed(project, &answer, scheme, text(&question.salt), out)?;
        }
        Arc::make_mut(&mut answers).insert(question.name.clone(), Tree::value(Value::str(answer)));
    }
    Ok(answers)
}

/// Hashes an answer as the filter `password_hash` does.
fn hashed(
    project: &Project,
    answer: &str,
    scheme: &str,
    salt: Option<String>,
    out: &Output,
) -> Result<String, CliError> {
    let known = [("answer", Some(answer)), ("scheme", Some(scheme)), ("salt", salt.as_deref())];
    let scope = Answer {
        vars: known.into_iter().filter_map(|(name, text)| Some((name.into(), Tree::value(text?)))).collect(),
        search: SearchPath::default(),
    };
    let salted = if salt.is_some() { ", salt=salt" } else { "" };
    let text = format!("{{{{ answer | password_hash(scheme{salted}) }}}}");
    let wrong = |diagnostic: &Diagnostic| {
        out.diagnostics(&project.sources, [diagnostic]);
        CliError::Project
    };
    let tree = project.templar.compile_str(&text, None).map_err(|d| wrong(&d))?;
    let scope: Arc<dyn Scope> = Arc::new(scope);
    let hash = project.templar.render(&tree, &scope).map_err(|e| wrong(&e.diagnostic))?;
    Ok(hash.to_text())
}

/// The variables with which an answer is hashed.
struct Answer {
    vars: HashMap<Arc<str>, Tree>,
    search: SearchPath,
}

impl Scope for Answer {
    fn get(&self, name: &str) -> Option<Var> {
        self.vars.get(name).cloned().map(Var::Tree)
    }

    fn names(&self) -> Vec<Arc<str>> {
        self.vars.keys().cloned().collect()
    }

    fn search(&self) -> &SearchPath {
        &self.search
    }
}
