//! Moving bytes between a process and its SSH channel, with the window as the only brake on output.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use russh::server::{Handle, Msg};
use russh::{ChannelWriteHalf, Sig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use super::cut::Watch;
use super::link::Exit;
use super::process::{Running, Size, Stdin};
use super::sshd::Server;

const PIECE: usize = 32 * 1024;
/// Most of thousands of idle shells say little.
const FIRST_PIECE: usize = 512;
/// How long the exit status waits for output that is still in the pipes when the process has ended.
const LAST_OUTPUT: Duration = Duration::from_millis(100);
const SSH_STDERR: u32 = 1;

/// What a client sends to a process.
pub(super) enum Input {
    Bytes(Vec<u8>),
    End,
    Resize(Size),
}

/// Tells a client that its command could not be started, as a shell would.
pub(super) async fn refuse(writer: &ChannelWriteHalf<Msg>, error: &io::Error) {
    let text = format!("rehearsal: cannot run the command: {error}\n");
    // A client that is gone needs no explanation.
    let _ = writer.extended_data_bytes(SSH_STDERR, text.into_bytes()).await;
    let _ = writer.exit_status(126).await;
    let _ = writer.eof().await;
    let _ = writer.close().await;
}

/// Serves one process until it has ended and its output is closed.
pub(super) async fn run(
    running: Running,
    writer: ChannelWriteHalf<Msg>,
    input: mpsc::Receiver<Input>,
    handle: Handle,
    server: Arc<Server>,
) {
    let Running { stdin, stdout, stderr, mut exit, .. } = running;
    let output = async {
        let out = forward(stdout, writer.make_writer(), &server);
        let err = async {
            if let Some(stderr) = stderr {
                forward(stderr, writer.make_writer_ext(Some(SSH_STDERR)), &server).await;
            }
        };
        tokio::join!(out, err);
    };
    let feeding = feed(stdin, input);
    tokio::pin!(output, feeding);
    let mut output_open = true;
    let outcome = loop {
        tokio::select! {
            biased;
            () = &mut output, if output_open => output_open = false,
            outcome = &mut exit => break outcome,
            () = &mut feeding => {}
        }
    };
    if output_open && tokio::time::timeout(LAST_OUTPUT, &mut output).await.is_ok() {
        output_open = false;
    }
    send_exit(&writer, &handle, outcome).await;
    if output_open {
        // Something in the background still holds the output; sshd waits for it too.
        tokio::select! {
            () = output => {}
            () = feeding => {}
        }
    }
    // The client may have closed first.
    let _ = writer.eof().await;
    let _ = writer.close().await;
}

async fn send_exit(writer: &ChannelWriteHalf<Msg>, handle: &Handle, outcome: Result<Exit, String>) {
    let code = match outcome {
        Ok(Exit::Code(code)) => u32::try_from(code & 0xff).unwrap_or(255),
        Ok(Exit::Signal(number)) => {
            let name = signal_name(number);
            // The client may have closed first.
            let _ = handle.exit_signal_request(writer.id(), name, false, String::new(), String::new()).await;
            return;
        }
        Err(reason) => {
            let text = format!("rehearsal: {reason}\n");
            let _ = writer.extended_data_bytes(SSH_STDERR, text.into_bytes()).await;
            255
        }
    };
    let _ = writer.exit_status(code).await;
}

async fn forward(mut source: impl AsyncRead + Unpin, mut target: impl AsyncWrite + Unpin, server: &Server) {
    let mut watch = Watch::default();
    let mut buffer = vec![0; FIRST_PIECE];
    loop {
        let count = match source.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        if target.write_all(&buffer[..count]).await.is_err() {
            return;
        }
        if let Some(cut) = &server.cut
            && cut.is_due(&mut watch, &buffer[..count])
        {
            // The client is to see some output first.
            tokio::time::sleep(Duration::from_millis(20)).await;
            server.cut_connections();
        }
        // A shell that has said what it had to say keeps little memory.
        let next = if count == buffer.len() { PIECE } else { FIRST_PIECE };
        if next != buffer.len() {
            buffer = vec![0; next];
        }
    }
}

/// Hands input to the process; never returns, so that a resize still arrives after the end of input.
async fn feed(stdin: Option<Stdin>, mut input: mpsc::Receiver<Input>) {
    let mut stdin = stdin;
    while let Some(message) = input.recv().await {
        match (message, &mut stdin) {
            (Input::Bytes(bytes), Some(Stdin::Pipe(pipe))) => {
                if pipe.write_all(&bytes).await.is_err() {
                    // The process does not read any more; what follows is dropped.
                    stdin = None;
                }
            }
            (Input::Bytes(bytes), Some(Stdin::Terminal(terminal))) => {
                if terminal.write_all(&bytes).await.is_err() {
                    stdin = None;
                }
            }
            (Input::End, Some(Stdin::Pipe(_))) => stdin = None,
            (Input::End, Some(Stdin::Terminal(terminal))) => {
                // End of input on a terminal is the character for it.
                let _ = terminal.write_all(&[4]).await;
            }
            (Input::Resize(size), Some(Stdin::Terminal(terminal))) => {
                // A terminal that is closing needs no new size.
                let _ = terminal.resize(size);
            }
            (_, _) => {}
        }
    }
    std::future::pending::<()>().await;
}

const SIGNALS: [(Sig, i32); 12] = [
    (Sig::HUP, 1),
    (Sig::INT, 2),
    (Sig::QUIT, 3),
    (Sig::ILL, 4),
    (Sig::ABRT, 6),
    (Sig::FPE, 8),
    (Sig::KILL, 9),
    (Sig::USR1, 10),
    (Sig::SEGV, 11),
    (Sig::PIPE, 13),
    (Sig::ALRM, 14),
    (Sig::TERM, 15),
];

/// The number of a signal that a client names.
pub(super) fn signal_number(signal: &Sig) -> Option<i32> {
    SIGNALS
        .iter()
        .find(|(known, _)| std::mem::discriminant(known) == std::mem::discriminant(signal))
        .map(|(_, number)| *number)
}

fn signal_name(number: i32) -> Sig {
    SIGNALS
        .iter()
        .find(|(_, known)| *known == number)
        .map_or_else(|| Sig::Custom(format!("{number}@xplay")), |(signal, _)| signal.clone())
}
