//! One writer for several reporters, whose lines come out in the order of the events.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// A writer that clones share.
pub struct SharedOut<W: Write + Send>(Arc<Mutex<W>>);

impl<W: Write + Send> SharedOut<W> {
    pub fn new(out: W) -> Self {
        SharedOut(Arc::new(Mutex::new(out)))
    }
}

impl<W: Write + Send> Clone for SharedOut<W> {
    fn clone(&self) -> Self {
        SharedOut(self.0.clone())
    }
}

impl<W: Write + Send> Write for SharedOut<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}
