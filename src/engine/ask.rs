//! Questions to whoever started the run. A question is shown by an event like everything else; the answer comes from
//! outside, because the engine neither prints nor reads a terminal.

use std::io;
use std::time::Duration;

use tokio::sync::mpsc;

use super::event::Event;
use super::shared::Shared;
use crate::transport::BoxFuture;

/// Gives the answers.
pub trait Answers: Send + Sync {
    /// Tells whether a person answers, who can be waited for.
    fn is_person(&self) -> bool;
    /// Returns the next line without its end, nothing when no more come. Must not block the runtime.
    fn line(&self) -> BoxFuture<'_, io::Result<Option<String>>>;
    /// Takes what a person types key by key; Ctrl-C is a key then. Must not block the runtime.
    fn typed(&self, typing: Typing) -> BoxFuture<'_, io::Result<Typed>>;
}

/// How what is typed key by key comes to an end.
#[derive(Clone, Copy, Debug)]
pub struct Typing {
    /// Whether it is shown.
    pub echo: bool,
    /// How long is waited.
    pub limit: Option<Duration>,
    pub until: Until,
}

/// The keys that end it; Ctrl-C always does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    Enter,
    /// Ctrl-C alone.
    Interrupt,
    /// The first of two letters, in either case; the second one breaks off like Ctrl-C.
    Letter(char, char),
}

/// What was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    Text(String),
    Interrupted,
    TimeOver,
}

const INTERRUPTED: &str = "the run was interrupted";

fn unreadable(error: io::Error) -> String {
    format!("the input cannot be read: {error}")
}

/// Part of a question's event. When all copies of it are gone, everybody who shows events has shown the question.
#[derive(Clone, Debug)]
pub struct Shown {
    _open: mpsc::Sender<()>,
}

impl Shared {
    /// Shows a question, waits until it can be read, and returns the answer, which is shown with the question once more;
    /// an error says why there is none.
    pub async fn ask(&self, text: String) -> Result<String, String> {
        let answer = self.line(text.clone()).await?;
        self.emit(Event::Answered { text: Some(text), answer: answer.clone() }).await;
        Ok(answer)
    }

    /// Shows a prompt and returns what is typed after it; an error says why there is nothing.
    pub async fn prompt(&self, text: String) -> Result<String, String> {
        let answer = self.line(text).await?;
        self.emit(Event::Answered { text: None, answer: answer.clone() }).await;
        Ok(answer)
    }

    /// Shows a question on lines of its own and takes what is typed then; an error says why nothing was.
    pub async fn typed(&self, question: &str, typing: Typing) -> Result<Typed, String> {
        let asked = async {
            self.question(format!("{question}\n")).await;
            std::future::pending::<()>().await;
        };
        // Keys are waited for before anybody can see the question.
        let typed = tokio::select! {
            biased;
            typed = self.answers.typed(typing) => typed.map_err(unreadable)?,
            () = asked => return Err(INTERRUPTED.into()),
            () = self.halt.asked() => return Err(INTERRUPTED.into()),
        };
        let answer = match &typed {
            Typed::Text(text) if typing.echo => text.clone(),
            _ => String::new(),
        };
        self.emit(Event::Answered { text: None, answer }).await;
        Ok(typed)
    }

    /// Shows a question and waits until it can be read.
    async fn question(&self, text: String) {
        let (open, mut shown) = mpsc::channel(1);
        self.emit(Event::Question { text, shown: Shown { _open: open } }).await;
        // Nothing is ever sent: this ends when the event is gone.
        let _ = shown.recv().await;
    }

    async fn line(&self, text: String) -> Result<String, String> {
        self.question(text).await;
        let line = tokio::select! {
            line = self.answers.line() => line,
            () = self.halt.asked() => return Err(INTERRUPTED.into()),
        };
        match line {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err("the input ended".into()),
            Err(e) => Err(unreadable(e)),
        }
    }
}
