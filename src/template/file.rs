//! Template files: the `template` module, `lookup('template')`, `include`, `import` and `extends`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::error::{Fail, R, RenderError, RenderErrorKind};
use super::interp::NOT_FOUND;
use super::ir::Program;
use super::lower::{self, Backslashes, Syntax};
use super::source::Source;
use super::{Scope, SearchPath, Templar, Var};
use crate::diag::Span;
use crate::value::{Map, Secret, Value};

/// How a template file is read and rendered; the defaults are those of the `template` module.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateFileOptions {
    pub syntax: Syntax,
    /// What line breaks become.
    pub newline_sequence: String,
    /// Variables that only this file sees, above all others.
    pub vars: Map,
    pub origin: TemplateOrigin,
}

impl Default for TemplateFileOptions {
    fn default() -> Self {
        TemplateFileOptions {
            syntax: Syntax::default(),
            newline_sequence: "\n".to_string(),
            vars: Map::new(),
            origin: TemplateOrigin::default(),
        }
    }
}

/// What the variables `template_host` and the like say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TemplateOrigin {
    pub host: String,
    pub destpath: String,
}

type CacheKey = (PathBuf, Syntax);
type Cached = (Option<SystemTime>, u64, Arc<Program>, Option<String>);

/// Compiled template files, by path and syntax, as long as the file is unchanged.
#[derive(Default)]
pub(super) struct FileCache(Mutex<HashMap<CacheKey, Cached>>);

impl Templar {
    /// Renders a template file to text. A result that is not known yet is the error kind
    /// [`RenderErrorKind::Unknown`].
    pub fn render_file(
        &self,
        path: &Path,
        scope: &Arc<dyn Scope>,
        options: &TemplateFileOptions,
    ) -> Result<String, RenderError> {
        self.render_file_value(path, scope, options).map(|v| v.to_text())
    }

    /// Like [`Templar::render_file`]; the text is a secret where a secret went into it.
    pub fn render_file_value(
        &self,
        path: &Path,
        scope: &Arc<dyn Scope>,
        options: &TemplateFileOptions,
    ) -> Result<Value, RenderError> {
        let scope = self.file_scope(path, scope, options);
        self.with(&scope, |interp| {
            let (program, newline) = self.load_program(path, &options.syntax)?;
            interp.dirs.push(path.parent().unwrap_or(Path::new(".")).to_path_buf());
            let value = interp.run_file(&program).map_err(|f| f.through_file(path))?;
            let value = with_end(value, &program.source.text);
            let newline = newline.as_deref().unwrap_or(&options.newline_sequence);
            Ok(if newline == "\n" { value } else { with_newlines(value, newline) })
        })
    }

    pub(super) fn file_scope(
        &self,
        path: &Path,
        scope: &Arc<dyn Scope>,
        options: &TemplateFileOptions,
    ) -> Arc<dyn Scope> {
        let mut vars = Map::new();
        let text = |p: &Path| p.display().to_string();
        let modified = std::fs::metadata(path).and_then(|m| m.modified()).ok();
        let run_date = jiff::Zoned::now().datetime();
        let mtime = modified
            .and_then(|m| jiff::Timestamp::try_from(m).ok())
            .map(|t| t.to_zoned(jiff::tz::TimeZone::system()).datetime());
        vars.insert("ansible_managed", self.settings().ansible_managed.as_str());
        vars.insert("template_host", options.origin.host.as_str());
        vars.insert("template_path", text(path));
        vars.insert(
            "template_fullpath",
            text(&std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())),
        );
        vars.insert("template_destpath", options.origin.destpath.as_str());
        vars.insert("template_uid", owner(path));
        vars.insert("template_run_date", run_date.strftime("%Y-%m-%d %H:%M:%S").to_string());
        if let Some(mtime) = mtime {
            vars.insert("template_mtime", mtime.strftime("%Y-%m-%d %H:%M:%S").to_string());
        }
        for (key, value) in &options.vars {
            vars.insert(key.clone(), value.clone());
        }
        Arc::new(FileScope { outer: scope.clone(), vars })
    }

    /// Compiles a template file or takes it from the cache; returns what its `#jinja2:` line says about line breaks.
    pub(super) fn load_program(&self, path: &Path, syntax: &Syntax) -> R<(Arc<Program>, Option<String>)> {
        let cannot =
            |e: std::io::Error| Fail::failed(format!("cannot read the template '{}': {e}", path.display()));
        let metadata = std::fs::metadata(path).map_err(cannot)?;
        let stamp = (metadata.modified().ok(), metadata.len());
        let key = (path.to_path_buf(), syntax.clone());
        {
            let cache = self.files().0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Some((modified, len, program, newline)) = cache.get(&key)
                && (*modified, *len) == stamp
            {
                return Ok((program.clone(), newline.clone()));
            }
        }
        let bytes = std::fs::read(path).map_err(cannot)?;
        let mut text = String::from_utf8(bytes)
            .map_err(|_| Fail::failed(format!("the template '{}' is not valid UTF-8", path.display())))?;
        if let Some(plain) = self.unlocked(&text) {
            text = plain.map_err(|e| Fail::failed(format!("cannot decrypt '{}': {e}", path.display())))?;
        }
        // Jinja reads any line break as "\n".
        let text: Arc<str> = text.replace("\r\n", "\n").replace('\r', "\n").into();
        let file = self.sources().add(path, text.clone());
        let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let (syntax, skip, newline) = match header(&text) {
            Some(header) => (header.apply(syntax), header.len, header.newline),
            None => (syntax.clone(), 0, None),
        };
        let body: Arc<str> = text[skip..].into();
        let span = Span { file, start: u32::try_from(skip).unwrap_or(u32::MAX), end };
        let source = Arc::new(Source { text: body, span: Some(span), node: None });
        let program = lower::program(source.clone(), &syntax, Backslashes::Escape).map_err(|fail| {
            let diagnostic = self.syntax_diagnostic(&source, *fail);
            let mut out = Fail::new(RenderErrorKind::Syntax, diagnostic.message.clone());
            for label in diagnostic.labels {
                out = out.through(label.text, Some(label.span));
            }
            out.help = diagnostic.help;
            out
        })?;
        let program = Arc::new(program);
        let mut cache = self.files().0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        cache.insert(key, (stamp.0, stamp.1, program.clone(), newline.clone()));
        Ok((program, newline))
    }

    /// Loads the first template of `names` that exists: beside the one that asks, then by the search path.
    pub(super) fn load_by_name(
        &self,
        names: &[String],
        dirs: &[PathBuf],
        search: &SearchPath,
    ) -> R<(Arc<Program>, PathBuf)> {
        // The last line break of a file that is included does not count, as in Ansible.
        let syntax = Syntax::default();
        for name in names {
            let mut places: Vec<PathBuf> = dirs.iter().rev().map(|d| d.join(name)).collect();
            let scope: Arc<dyn Scope> = Arc::new(OnlySearch(search.clone()));
            places.extend(scope.search().candidates("templates", name));
            for path in places {
                if path.is_file() {
                    let (program, _) = self.load_program(&path, &syntax)?;
                    let dir = path.parent().unwrap_or(Path::new(".")).to_path_buf();
                    return Ok((program, dir));
                }
            }
        }
        Err(Fail::failed(format!("{NOT_FOUND}: {}", names.join(", "))))
    }
}

/// Restores line breaks at the end of a file: the last one, which does not count for a template, and those that a last
/// tag took with it. What ends with as many already stays as it is.
pub(super) fn with_end(value: Value, source: &str) -> Value {
    let breaks = |text: &str| text.len() - text.trim_end_matches('\n').len();
    let longer = |text: &str| {
        let missing = breaks(source).saturating_sub(breaks(text));
        (missing > 0).then(|| format!("{text}{}", "\n".repeat(missing)))
    };
    match &value {
        Value::Str(text) => longer(text).map_or(value, Value::str),
        Value::Secret(text) => longer(text.expose()).map_or(value, |t| Value::Secret(Secret::new(t))),
        _ => value,
    }
}

impl Fail {
    fn through_file(self: Box<Self>, path: &Path) -> Box<Self> {
        if self.at.is_some() {
            self
        } else {
            self.through(format!("in the template '{}'", path.display()), None)
        }
    }
}

#[cfg(unix)]
fn owner(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    let Ok(metadata) = std::fs::metadata(path) else { return String::new() };
    let uid = metadata.uid().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_string())
    });
    user.unwrap_or(uid)
}

fn with_newlines(value: Value, newline: &str) -> Value {
    match value {
        Value::Secret(s) => Value::Secret(Secret::new(s.expose().replace('\n', newline))),
        other => Value::str(other.to_text().replace('\n', newline)),
    }
}

/// The `#jinja2: trim_blocks:False, ...` line that a template may begin with.
struct Header {
    len: usize,
    settings: Vec<(String, String)>,
    newline: Option<String>,
}

fn header(text: &str) -> Option<Header> {
    let rest = text.strip_prefix("#jinja2:")?;
    let line = rest.split_once('\n').map_or(rest, |(line, _)| line);
    let len = ("#jinja2:".len() + line.len() + 1).min(text.len());
    let mut settings = Vec::new();
    let mut newline = None;
    for pair in split_settings(line) {
        let Some((key, value)) = pair.split_once(':') else { continue };
        let (key, value) = (key.trim().to_string(), unquote(value.trim()));
        if key == "newline_sequence" {
            newline = Some(value.replace("\\r", "\r").replace("\\n", "\n"));
        }
        settings.push((key, value));
    }
    Some(Header { len, settings, newline })
}

/// Splits at commas outside of quotes.
fn split_settings(line: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            None if c == '\'' || c == '"' => quote = Some(c),
            None if c == ',' => {
                out.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = out.last_mut() {
            last.push(c);
        }
    }
    out
}

fn unquote(text: &str) -> String {
    let inner = ['\'', '"'].iter().find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q));
    inner.unwrap_or(text).to_string()
}

impl Header {
    fn apply(&self, base: &Syntax) -> Syntax {
        let mut syntax = base.clone();
        for (key, value) in &self.settings {
            let yes = matches!(value.to_ascii_lowercase().as_str(), "true" | "yes" | "1");
            let text = value.clone();
            match key.as_str() {
                "trim_blocks" => syntax.trim_blocks = yes,
                "lstrip_blocks" => syntax.lstrip_blocks = yes,
                "keep_trailing_newline" => syntax.keep_trailing_newline = yes,
                "block_start_string" => syntax.block.0 = text,
                "block_end_string" => syntax.block.1 = text,
                "variable_start_string" => syntax.variable.0 = text,
                "variable_end_string" => syntax.variable.1 = text,
                "comment_start_string" => syntax.comment.0 = text,
                "comment_end_string" => syntax.comment.1 = text,
                "line_statement_prefix" => syntax.line_statement_prefix = Some(text),
                "line_comment_prefix" => syntax.line_comment_prefix = Some(text),
                _ => {}
            }
        }
        syntax
    }
}

/// A scope with the template's own variables above.
struct FileScope {
    outer: Arc<dyn Scope>,
    vars: Map,
}

impl Scope for FileScope {
    fn get(&self, name: &str) -> Option<Var> {
        match self.vars.get(name) {
            // The user's own variable wins over what is only a default.
            Some(value) if name == "ansible_managed" => {
                self.outer.get(name).or(Some(Var::Value(value.clone())))
            }
            Some(value) => Some(Var::Value(value.clone())),
            None => self.outer.get(name),
        }
    }
    fn names(&self) -> Vec<Arc<str>> {
        let mut names = self.outer.names();
        names.extend(self.vars.keys().filter_map(|k| k.as_str().map(Arc::from)));
        names
    }
    fn search(&self) -> &SearchPath {
        self.outer.search()
    }
}

/// A search path without variables.
struct OnlySearch(SearchPath);

impl Scope for OnlySearch {
    fn get(&self, _: &str) -> Option<Var> {
        None
    }
    fn names(&self) -> Vec<Arc<str>> {
        Vec::new()
    }
    fn search(&self) -> &SearchPath {
        &self.0
    }
}
