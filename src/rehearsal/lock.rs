//! Kernel locks on files, surely free when dropped.

use std::fs::{File, TryLockError};

/// A lock that is held as long as this lives.
#[derive(Debug)]
pub(super) struct HeldLock(File);

impl HeldLock {
    /// Takes the lock of an open file, or says that another holds it.
    pub fn try_take(file: File) -> Result<Self, TryLockError> {
        file.try_lock()?;
        Ok(HeldLock(file))
    }

    pub fn file(&mut self) -> &mut File {
        &mut self.0
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        // Closing is not enough: a program that is just being started may hold a copy of the descriptor.
        let _ = self.0.unlock();
    }
}
