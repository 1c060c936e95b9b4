//! Frames as one file, which a shell on each node works off without being talked to.
//!
//! The first line is a program. It starts the same loop that a session talks to, on the rest of the file, and prints its
//! outputs as lines of letters, because the tools carry lines of text: each begins with a token that no script knows.
//! Stdout comes as it is made, stderr at the end, so that no line is torn by another.

use std::path::Path;
use std::sync::atomic::AtomicUsize;

use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::tool::Delivery;
use crate::transport::drive::{Pipe, WriteError, write_frames};
use crate::transport::frame::{Frame, Place, random_hex};
use crate::transport::launch::Launch;
use crate::transport::shell::{FRAME_FUNCTIONS, known_tools, private_directory, take_function};
use crate::transport::{BecomeSpec, Content, ExactRead, Exec, StatFlavour, TransportError};

/// What a node is to do.
#[derive(Clone)]
pub(super) struct Order {
    pub execs: Vec<Exec>,
    pub r#become: Option<BecomeSpec>,
    pub shell: String,
    /// What is known of the node; nothing before it was asked.
    pub known: Option<Known>,
}

/// What frames depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub take: ExactRead,
    pub stat: StatFlavour,
}

/// An order on its way.
pub(super) struct Parcel {
    pub file: tempfile::NamedTempFile,
    pub size: u64,
    /// Begins the lines that count.
    pub token: String,
    /// The line that the shell prints when it is there.
    pub ready: String,
    pub frames: Vec<Frame>,
    /// How many of the frames make the shell usable.
    pub first: usize,
}

impl Order {
    /// Returns a text that is the same for orders that can be sent together.
    pub fn key(&self) -> Vec<u8> {
        let mut key = format!("{:?} {:?} {:?}", self.r#become, self.shell, self.known).into_bytes();
        for exec in &self.execs {
            let options = (exec.timeout, exec.stream, exec.max_output, exec.intent, exec.own_shell);
            key.extend(format!("\n{options:?} {} ", exec.script.len()).into_bytes());
            key.extend(exec.script.as_bytes());
            match &exec.stdin {
                None => {}
                Some(Content::Bytes(bytes)) => key.extend(Sha256::digest(bytes)),
                Some(Content::File { path, size }) => key.extend(format!("{size} {path:?}").into_bytes()),
            }
        }
        key
    }
}

impl Parcel {
    /// Writes an order into a private file of this machine.
    pub async fn write(order: &Order, prelude: &str, delivery: Delivery) -> Result<Self, TransportError> {
        let token = random_hex()?;
        let launch = Launch::new("the nodes", &order.shell, order.r#become.as_ref(), &token)?;
        let mut head = first_line(&token, &launch.command, delivery);
        head.push_str(FRAME_FUNCTIONS);
        head.push_str(&private_directory(&token));
        let mut frames = Vec::with_capacity(order.execs.len() + 1);
        let take = order.known.map_or(ExactRead::Builtin, |known| known.take);
        if let Some(known) = order.known {
            head.push_str(take_function(known.take));
            head.push_str(known_tools(known.stat));
            frames.push(Frame::new(Exec::new(prelude), Place::Loop, take)?);
        }
        let first = frames.len();
        for exec in &order.execs {
            frames.push(Frame::new(exec.clone(), Place::of(exec), take)?);
        }
        let wrap = TransportError::local("write what is sent into a temporary file");
        let file = tempfile::Builder::new().prefix("xplay-parcel-").tempfile().map_err(wrap)?;
        let size = fill(&file, head.as_bytes(), &frames).await?;
        Ok(Parcel { file, size, token, ready: launch.ready, frames, first })
    }

    /// Returns the content that goes to the tool.
    pub fn content(&self) -> Content {
        let path: &Path = self.file.path();
        Content::File { path: path.to_owned(), size: self.size }
    }
}

async fn fill(file: &tempfile::NamedTempFile, head: &[u8], frames: &[Frame]) -> Result<u64, TransportError> {
    let wrap = |e| TransportError::local("write what is sent into a temporary file")(e);
    let own = file.as_file().try_clone().map_err(wrap)?;
    let mut pipe: Pipe = Box::new(tokio::fs::File::from_std(own));
    pipe.write_all(head).await.map_err(wrap)?;
    write_frames(&mut pipe, frames, &AtomicUsize::new(0)).await.map_err(|e| match e {
        WriteError::Pipe(e) => wrap(e),
        WriteError::Content(e) => e,
    })?;
    Ok(file.as_file().metadata().map_err(wrap)?.len())
}

/// The program: `launch` is the command of the loop.
fn first_line(token: &str, launch: &str, delivery: Delivery) -> String {
    let runner = format!(
        "if command -v base64 >/dev/null 2>&1; then xp_c() {{ base64 | sed \"s/^/{token} ${{1}}b /\"; }}; \
         else xp_c() {{ od -An -v -tx1 | sed \"s/^/{token} ${{1}}x /\"; }}; fi; echo {token} begin; \
         {{ xp_e=$( {{ {{ {launch}; }} 5>&- | xp_c o >&5; }} 2>&1 | xp_c e ); }} 5>&1; echo \"$xp_e\"; echo {token} end"
    );
    match delivery {
        Delivery::Stdin => format!("{runner}\n"),
        // The shell that reads the program has it open, and what follows is never looked at as program.
        Delivery::File => {
            format!("{{ rm -f \"$0\"; IFS= read -r xp_l; {runner}; }} <\"$0\"; exit 0\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(script: &str) -> Order {
        Order { execs: vec![Exec::new(script)], r#become: None, shell: "/bin/sh".into(), known: None }
    }

    #[test]
    fn orders_are_the_same_when_every_node_would_do_the_same() {
        let with = |bytes: &[u8]| {
            let execs = vec![Exec::new("cat").stdin(Content::bytes(bytes))];
            Order { execs, ..order("") }
        };
        assert_eq!(order("id").key(), order("id").key());
        assert_ne!(order("id").key(), order("ls").key());
        assert_eq!(with(b"x").key(), with(b"x").key());
        assert_ne!(with(b"x").key(), with(b"y").key());
        let two = Order { execs: vec![Exec::new("a"), Exec::new("b")], ..order("") };
        assert_ne!(two.key(), order("a\nb").key());
        let known = Known { take: ExactRead::Head, stat: StatFlavour::Gnu };
        assert_ne!(Order { known: Some(known), ..order("id") }.key(), order("id").key());
    }
}
