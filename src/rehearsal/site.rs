//! The two sites that can be rehearsed: operating system, architecture and the hosts of each.

use std::fmt;
use std::str::FromStr;

/// Which cluster is rehearsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Site {
    /// rhels9.4 on x86_64, IPMI, systemd.
    #[default]
    El9,
    /// rhels6.4 on ppc64, HMC-managed, chkconfig: the case of the procedure document.
    Seed,
}

/// What a host of the cluster is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Runs xCAT; its disk is kept.
    Management,
    /// Booted from an image, serves compute nodes.
    Service,
    /// Booted from an image.
    Compute,
    /// Builds images that the management node cannot build; its disk is kept.
    Builder,
}

impl Role {
    /// The inventory group that holds hosts of this kind.
    pub fn group(self) -> &'static str {
        match self {
            Self::Management => "management",
            Self::Service => "service",
            Self::Compute => "compute",
            Self::Builder => "image_builders",
        }
    }

    /// Whether hosts of this kind have a disk of their own, and run from the start.
    pub(super) fn has_disk(self) -> bool {
        matches!(self, Self::Management | Self::Builder)
    }
}

/// One host of the cluster, as the site describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostPlan {
    /// Short host name.
    pub name: &'static str,
    /// What it is for.
    pub role: Role,
    /// Its address inside the story, as `/etc/hosts` of the management node has it.
    pub address: &'static str,
}

/// The name of the management node.
pub const MANAGEMENT_NODE: &str = "mn1";

/// An operating system on an architecture, as a host shows it.
#[derive(Debug)]
pub(super) struct System {
    /// The architecture that `uname -m` answers.
    pub(super) arch: &'static str,
    /// The kernel release that `uname -r` answers.
    pub(super) kernel: &'static str,
    /// The kernel version that `uname -v` answers.
    pub(super) kernel_version: &'static str,
    /// The one line of `/etc/redhat-release`.
    pub(super) release_line: &'static str,
    /// The text of `/etc/os-release`; older releases have no such file.
    pub(super) os_release: Option<&'static str>,
}

/// The host that builds for a management node of another system.
pub(super) const BUILDER: HostPlan = HostPlan { name: "build1", role: Role::Builder, address: "10.20.0.5" };

const HOSTS: [HostPlan; 5] = [
    HostPlan { name: MANAGEMENT_NODE, role: Role::Management, address: "10.20.0.1" },
    HostPlan { name: "sn1", role: Role::Service, address: "10.20.0.11" },
    HostPlan { name: "sn2", role: Role::Service, address: "10.20.0.12" },
    HostPlan { name: "cn1", role: Role::Compute, address: "10.20.0.21" },
    HostPlan { name: "cn2", role: Role::Compute, address: "10.20.0.22" },
];

impl Site {
    /// The five hosts of every cluster, management node first.
    pub fn hosts(self) -> &'static [HostPlan] {
        &HOSTS
    }

    /// What nodes and images run; the management node too, unless another host builds.
    pub(super) fn system(self) -> &'static System {
        match self {
            Self::El9 => &System {
                arch: "x86_64",
                kernel: "5.14.0-427.13.1.el9_4.x86_64",
                kernel_version: "#1 SMP PREEMPT_DYNAMIC Wed Apr 10 10:29:16 EDT 2024",
                release_line: "Red Hat Enterprise Linux release 9.4 (Plow)",
                os_release: Some(
                    "NAME=\"Red Hat Enterprise Linux\"\nVERSION=\"9.4 (Plow)\"\nID=\"rhel\"\nID_LIKE=\"fedora\"\n\
                     VERSION_ID=\"9.4\"\nPLATFORM_ID=\"platform:el9\"\n\
                     PRETTY_NAME=\"Red Hat Enterprise Linux 9.4 (Plow)\"\nANSI_COLOR=\"0;31\"\n\
                     VARIANT_ID=\"xplay-rehearsal\"\n",
                ),
            },
            Self::Seed => &System {
                arch: "ppc64",
                kernel: "2.6.32-358.el6.ppc64",
                kernel_version: "#1 SMP Tue Jan 29 11:43:27 EST 2013",
                release_line: "Red Hat Enterprise Linux Server release 6.4 (Santiago)",
                os_release: None,
            },
        }
    }

    /// What a management node runs that cannot build the site's images.
    pub(super) fn other_system(self) -> &'static System {
        match self {
            Self::El9 => &System {
                arch: "ppc64le",
                kernel: "4.18.0-553.el8_10.ppc64le",
                kernel_version: "#1 SMP Fri May 10 15:19:13 EDT 2024",
                release_line: "Red Hat Enterprise Linux release 8.10 (Ootpa)",
                os_release: Some(
                    "NAME=\"Red Hat Enterprise Linux\"\nVERSION=\"8.10 (Ootpa)\"\nID=\"rhel\"\nID_LIKE=\"fedora\"\n\
                     VERSION_ID=\"8.10\"\nPLATFORM_ID=\"platform:el8\"\n\
                     PRETTY_NAME=\"Red Hat Enterprise Linux 8.10 (Ootpa)\"\nANSI_COLOR=\"0;31\"\n\
                     VARIANT_ID=\"xplay-rehearsal\"\n",
                ),
            },
            Self::Seed => &System {
                arch: "x86_64",
                kernel: "2.6.32-358.el6.x86_64",
                kernel_version: "#1 SMP Tue Jan 29 11:47:41 EST 2013",
                release_line: "Red Hat Enterprise Linux Server release 6.4 (Santiago)",
                os_release: None,
            },
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::El9 => "el9",
            Self::Seed => "seed",
        })
    }
}

impl FromStr for Site {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "el9" => Ok(Self::El9),
            "seed" => Ok(Self::Seed),
            other => Err(format!("unknown rehearsal site {other}, known: el9, seed")),
        }
    }
}
