//! Collects what a template prints. One value alone keeps its type; more become text.

use super::Interp;
use crate::template::error::{Fail, R};
use crate::template::runtime::{V, holds_secret};
use crate::value::{Secret, Text, TextKind, Value};

#[derive(Default)]
pub(in crate::template) struct Sink {
    state: State,
}

#[derive(Default)]
enum State {
    #[default]
    Empty,
    One(V),
    Text(Pieces),
}

/// More than one piece.
#[derive(Default)]
struct Pieces {
    text: String,
    secret: bool,
    /// What the whole is, as far as it is no secret.
    kind: TextKind,
}

impl Pieces {
    fn value(self) -> Value {
        if self.secret {
            return Value::Secret(Secret::new(self.text));
        }
        Value::Str(Text::new(self.text, self.kind))
    }
}

impl Sink {
    /// Adds literal text.
    pub fn push_text(&mut self, interp: &mut Interp<'_>, piece: &str) -> R<()> {
        if let State::Text(pieces) = &mut self.state {
            pieces.text.push_str(piece);
            return Ok(());
        }
        self.push(interp, V::str(piece))
    }

    /// Adds the value of an expression. Nulls print as nothing. A container is taken as it is now: the template
    /// may change it later.
    pub fn push(&mut self, interp: &mut Interp<'_>, value: V) -> R<()> {
        let value = match value {
            V::Val(Value::Null) => return Ok(()),
            V::List(_) | V::Dict(_) | V::Tuple(_) => V::Val(interp.value(&value)?),
            other => other,
        };
        match std::mem::take(&mut self.state) {
            State::Empty => self.state = State::One(value),
            State::One(first) => {
                let mut pieces = Pieces::default();
                print(interp, &first, &mut pieces)?;
                print(interp, &value, &mut pieces)?;
                self.state = State::Text(pieces);
            }
            State::Text(mut pieces) => {
                print(interp, &value, &mut pieces)?;
                self.state = State::Text(pieces);
            }
        }
        Ok(())
    }

    /// Returns the native value; null when nothing was printed. A text gets back the line breaks at the end that
    /// `template` has and parsing dropped.
    pub fn finish(self, template: &str) -> R<V> {
        let ends = |s: &str| s.len() - s.trim_end_matches('\n').len();
        let wanted = ends(template);
        let mut pieces = match self.state {
            State::Empty => return Ok(V::null()),
            State::One(V::Val(Value::Str(s))) if ends(&s) >= wanted => return Ok(V::Val(Value::Str(s))),
            State::One(V::Val(Value::Str(s))) => {
                Pieces { text: s.to_string(), kind: s.kind(), ..Pieces::default() }
            }
            State::One(V::Val(Value::Secret(s))) => {
                Pieces { text: s.expose().to_string(), secret: true, ..Pieces::default() }
            }
            State::One(V::Undef(u)) => return Err(u.fail.clone()),
            State::One(v) => return Ok(v),
            State::Text(pieces) => pieces,
        };
        for _ in ends(&pieces.text)..wanted {
            pieces.text.push('\n');
        }
        Ok(V::Val(pieces.value()))
    }

    /// Returns the value of a macro call or a `set` block: native when single, an empty text when nothing was printed.
    pub fn value(self) -> V {
        match self.state {
            State::Empty => V::str(""),
            State::One(v) => v,
            State::Text(pieces) => V::Val(pieces.value()),
        }
    }

    /// Returns everything as text.
    pub fn text(self, interp: &mut Interp<'_>) -> R<Value> {
        let mut pieces = Pieces::default();
        match self.state {
            State::Empty => {}
            State::One(v) => print(interp, &v, &mut pieces)?,
            State::Text(all) => pieces = all,
        }
        Ok(pieces.value())
    }
}

fn print(interp: &mut Interp<'_>, value: &V, out: &mut Pieces) -> R<()> {
    match value {
        V::Val(Value::Str(s)) => {
            out.text.push_str(s);
            if s.kind().is_unsafe() {
                out.kind = TextKind::Unsafe;
            }
        }
        V::Undef(u) if u.soft => {}
        other => {
            let value = interp.value(other)?;
            if let Some(unknown) = value.find_unknown() {
                return Err(Fail::unknown(unknown.clone()));
            }
            out.secret |= holds_secret(&value);
            out.text.push_str(&value.to_text());
        }
    }
    Ok(())
}
