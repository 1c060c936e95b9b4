//! Questions to whoever started the run. A question is shown by an event like everything else; the answer comes from
//! outside, because the engine neither prints nor reads a terminal.

use std::io;

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

    async fn line(&self, text: String) -> Result<String, String> {
        let (open, mut shown) = mpsc::channel(1);
        self.emit(Event::Question { text, shown: Shown { _open: open } }).await;
        // Nothing is ever sent: this ends when the event is gone.
        let _ = shown.recv().await;
        let line = tokio::select! {
            line = self.answers.line() => line,
            () = self.halt.asked() => return Err("the run was interrupted".into()),
        };
        match line {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err("the input ended".into()),
            Err(e) => Err(format!("the input cannot be read: {e}")),
        }
    }
}
