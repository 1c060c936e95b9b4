//! Faults that can be injected, and the file on the management node that lists them.
//!
//! The file is the only truth: the emulated commands read it too, and removing a line ends the fault.

use std::fmt;
use std::str::FromStr;

/// The file, relative to the management node's root; one name per line.
pub const FAULTS_FILE: &str = "etc/xcat/rehearsal/faults";

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal,)*) => {
        /// Something that goes wrong on purpose.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fault { $($(#[doc = $doc])* $variant,)* }

        impl Fault {
            /// Every fault, for help texts.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name used on the command line and in the faults file.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

faults! {
    /// packimage leaves an archive that ends in the middle.
    PackimageTruncated = "packimage-truncated",
    /// packimage exits 0 and does nothing.
    PackimageNothingDone = "packimage-rc0-nothing-done",
    /// genimage fails after most of its work.
    GenimageFailsLate = "genimage-fails-late",
    /// nodeset fails for one node of several.
    NodesetOneBadNode = "nodeset-one-bad-node",
    /// The last service node never comes back from a boot.
    NodeNeverBoots = "node-never-boots",
    /// The last service node boots an image other than its boot file names.
    NodeBootsOldImage = "node-boots-old-image",
    /// The daemon does not answer.
    XcatdDown = "xcatd-down",
    /// No space is left while the image is made.
    DiskFull = "disk-full",
    /// The SSH connection to the management node breaks once while genimage runs.
    ConnectionCutDuringGenimage = "connection-cut-during-genimage",
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|fault| fault.name() == text).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|fault| fault.name()).collect();
            format!("unknown fault {text}, known: {}", known.join(", "))
        })
    }
}

/// Reads a faults file; lines that name no fault are somebody else's.
pub(super) fn parse(text: &str) -> Vec<Fault> {
    text.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

/// The text of a faults file.
pub(super) fn render(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        assert_eq!(parse(&render(Fault::ALL)), Fault::ALL);
        assert_eq!(parse("# nothing\n disk-full \nother\n"), [Fault::DiskFull]);
    }
}
