//! The rehearsal cluster as a whole: its directory, its start and its end.

use std::fs::{self, File, TryLockError};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::cut::CutFault;
use super::emulation::{self, NO_DELAYS};
use super::error::RehearsalError;
use super::faults::{self, FAULTS_FILE, Fault};
use super::host::{Host, Hosts};
use super::keys::{self, HostAccess};
use super::link::RootMode;
use super::lock::HeldLock;
use super::machine::Output;
use super::probe::{Way, find_way};
use super::site::{BUILDER, HostPlan, MANAGEMENT_NODE, Role, Site};
use super::sshd::{self, Credentials, Door};
use super::tree::{DiskPlan, link_file, make_dir, make_disk, remove_tree, write_file};
use super::{control, terminal, userland};

/// What cluster to start, and how.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// Which site.
    pub site: Site,
    /// Keep the cluster's disks here; without it they are removed at the end.
    pub dir: Option<PathBuf>,
    /// Enter roots only this way.
    pub mode: Option<RootMode>,
    /// Faults of this run; those of an earlier run of a kept cluster are forgotten.
    pub faults: Vec<Fault>,
    /// One step of a node's boot; a boot has four.
    pub pace: Duration,
    /// The program that becomes the hosts' process 1; this program by default.
    pub exe: Option<PathBuf>,
    /// A password that the SSH servers accept beside the key.
    pub password: Option<String>,
    /// The management node cannot build the site's images, and another host can.
    pub builder: bool,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            site: Site::default(),
            dir: None,
            mode: None,
            faults: Vec::new(),
            pace: Duration::from_millis(300),
            exe: None,
            password: None,
            builder: false,
        }
    }
}

/// What a kept directory says of itself.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Label {
    format: u32,
    site: String,
    mode: RootMode,
    user_namespace: bool,
    #[serde(default)]
    builder: bool,
}

const FORMAT: u32 = 1;
const LABEL: &str = "cluster.json";
const PINNED: &str = "xplay";
const COPIED_PROGRAM_MAX: u64 = 64 << 20;

/// Boot steps below this are a test's.
const SHORTEST_REAL_PACE: Duration = Duration::from_millis(100);

/// A running cluster. Dropping it ends its hosts and removes its directory unless that is kept.
pub struct Cluster {
    hosts: Arc<Hosts>,
    access: Vec<HostAccess>,
    dir: PathBuf,
    keep: bool,
    control: JoinHandle<()>,
    over: bool,
    _lock: HeldLock,
}

/// Starts a cluster: the management node, and the nodes that ran in a kept one.
pub async fn start(options: ClusterOptions) -> Result<Cluster, RehearsalError> {
    match tokio::task::spawn_blocking(move || start_blocking(options)).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn start_blocking(options: ClusterOptions) -> Result<Cluster, RehearsalError> {
    let exe = match &options.exe {
        Some(exe) => exe.clone(),
        None => std::env::current_exe().map_err(RehearsalError::file("find", Path::new("this program")))?,
    };
    let keep = options.dir.is_some();
    let dir = match &options.dir {
        Some(dir) => {
            fs::create_dir_all(dir).map_err(RehearsalError::file("make", dir))?;
            let dir = dir.canonicalize().map_err(RehearsalError::file("find", dir))?;
            check_kept_dir(&dir)?;
            dir
        }
        None => temporary_dir("xplay-rehearsal-")?,
    };
    let started = start_in(&dir, keep, &exe, &options);
    match started {
        Ok(cluster) => {
            cluster.inject(&options.faults)?;
            cluster.set_command_delays(options.pace)?;
            Ok(cluster)
        }
        Err(error) => {
            if !keep {
                // The first error is the one to show.
                let _ = remove_tree(&dir);
            }
            Err(error)
        }
    }
}

fn start_in(dir: &Path, keep: bool, exe: &Path, options: &ClusterOptions) -> Result<Cluster, RehearsalError> {
    let ClusterOptions { site, mode, pace, .. } = *options;
    let lock = take_lock(dir)?;
    let exe = pin_program(dir, exe)?;
    let kept = read_label(dir)?;
    // A kept cluster goes on as it is.
    let builder = options.builder || kept.as_ref().is_some_and(|label| label.builder);
    let way = match &kept {
        Some(label) => {
            check_label(dir, label, options)?;
            find_way(&exe, dir, Some(label.mode))?
        }
        None => find_way(&exe, dir, mode)?,
    };
    if builder && way.mode == RootMode::Chroot {
        return Err(RehearsalError::BuilderNeedsMounts);
    }
    // Before anything else is made, so that a start that was interrupted goes on with the same site.
    if kept.is_none() {
        write_label(dir, options, way)?;
    }
    let shared_userland = dir.join("userland");
    once(&shared_userland, |fresh| userland::build(fresh, &exe))?;
    let hosts_dir = dir.join("hosts");
    let management_root = hosts_dir.join(MANAGEMENT_NODE).join("root");
    let plans: Vec<HostPlan> = site.hosts().iter().copied().chain(builder.then_some(BUILDER)).collect();
    for host in plans.iter().filter(|host| host.role.has_disk()) {
        let is_other = builder && host.role == Role::Management;
        let system = if is_other { site.other_system() } else { site.system() };
        let plan = DiskPlan { host, system, image_system: site.system(), hosts: &plans };
        make_host_disk(&hosts_dir.join(host.name), &shared_userland, site, &plan)?;
    }
    let key_file = dir.join("id_ed25519");
    let client_key = keys::load_or_make(&key_file, "xplay rehearsal")?;
    let mut list = Vec::new();
    let mut access = Vec::new();
    for plan in &plans {
        let host_dir = hosts_dir.join(plan.name);
        make_dir(&host_dir, 0o755).map_err(RehearsalError::file("make", &host_dir))?;
        let host_key = keys::load_or_make(&host_dir.join("host_key"), plan.name)?;
        let door =
            Door::reserve().map_err(RehearsalError::file("reserve an address for", Path::new(plan.name)))?;
        access.push(HostAccess {
            name: plan.name.into(),
            role: Some(plan.role),
            address: door.address(),
            user: "root".into(),
            key_file: key_file.clone(),
            known_host: keys::known_host(door.address(), host_key.public_key())?,
        });
        list.push(Host::open(*plan, host_dir, door, sshd::config(host_key))?);
    }
    keys::write_client_files(dir, &format!("xplay rehearsal, site {site}"), &access)?;
    let variables = dir.join("group_vars/management.yml");
    if !variables.exists() {
        let text = emulation::site_variables(site);
        fs::create_dir_all(dir.join("group_vars"))
            .and_then(|()| fs::write(&variables, text))
            .map_err(RehearsalError::file("write", &variables))?;
    }
    let listener = control::listen(&management_root)?;
    let hosts = Arc::new(Hosts {
        site,
        mode: way.mode,
        user_namespace: way.user_namespace,
        exe,
        pace,
        cut: Arc::new(CutFault::new(management_root.join(FAULTS_FILE))),
        management_root,
        credentials: Arc::new(Credentials {
            user: Some("root"),
            key: client_key.public_key().clone(),
            password: options.password.clone(),
        }),
        list,
    });
    hosts.start()?;
    let control = tokio::spawn(control::serve(listener, Arc::clone(&hosts)));
    Ok(Cluster { hosts, access, dir: dir.into(), keep, control, over: false, _lock: lock })
}

/// Makes the disk of a host that has one, with what it needs of the emulated xCAT.
fn make_host_disk(
    host_dir: &Path,
    userland: &Path,
    site: Site,
    plan: &DiskPlan<'_>,
) -> Result<(), RehearsalError> {
    make_dir(host_dir, 0o755).map_err(RehearsalError::file("make", host_dir))?;
    once(&host_dir.join("root"), |fresh| {
        make_disk(fresh, userland, plan)?;
        let seeded = match plan.host.role {
            Role::Builder => emulation::seed_builder(fresh, site, plan.system),
            _ => emulation::seed(fresh, site, plan.system),
        };
        seeded.map_err(|error| RehearsalError::Emulation {
            host: plan.host.name.into(),
            reason: format!("cannot set up its tables: {error}"),
        })
    })
}

impl Cluster {
    /// The inventory file of the cluster.
    pub fn inventory_path(&self) -> PathBuf {
        self.dir.join("inventory")
    }

    /// The `known_hosts` file of the cluster.
    pub fn known_hosts_path(&self) -> PathBuf {
        self.dir.join("known_hosts")
    }

    /// The directory with the cluster's disks.
    pub fn state_dir(&self) -> &Path {
        &self.dir
    }

    /// The management node's root, as this machine sees it.
    pub fn management_root(&self) -> &Path {
        &self.hosts.management_root
    }

    /// Which site this is.
    pub fn site(&self) -> Site {
        self.hosts.site
    }

    /// How roots are entered.
    pub fn mode(&self) -> RootMode {
        self.hosts.mode
    }

    /// How to reach each host; those that are off refuse.
    pub fn hosts(&self) -> &[HostAccess] {
        &self.access
    }

    /// The address of one host.
    pub fn address(&self, host: &str) -> Option<SocketAddr> {
        self.access.iter().find(|access| access.name == host).map(|access| access.address)
    }

    /// Makes exactly these faults happen from now on.
    pub fn inject(&self, faults: &[Fault]) -> Result<(), RehearsalError> {
        for root in self.disks() {
            let file = root.join(FAULTS_FILE);
            write_file(&file, 0o644, faults::render(faults).as_bytes())
                .map_err(RehearsalError::file("write", &file))?;
        }
        if faults.contains(&Fault::ConnectionCutDuringGenimage) {
            self.hosts.cut.arm();
        }
        Ok(())
    }

    /// Emulated commands take their time only when boots do.
    fn set_command_delays(&self, pace: Duration) -> Result<(), RehearsalError> {
        for root in self.disks() {
            let file = root.join(NO_DELAYS);
            if pace < SHORTEST_REAL_PACE {
                write_file(&file, 0o644, b"").map_err(RehearsalError::file("write", &file))?;
                continue;
            }
            match fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(RehearsalError::file("remove", &file)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The roots of the hosts with disks.
    fn disks(&self) -> impl Iterator<Item = PathBuf> {
        self.hosts.list.iter().filter(|host| host.plan.role.has_disk()).map(|host| host.dir.join("root"))
    }

    /// Runs a script on a running host, past SSH.
    pub async fn run(&self, host: &str, script: &str, stdin: &[u8]) -> Result<Output, RehearsalError> {
        let machine = self.hosts.machine(host)?;
        machine
            .run(script.as_bytes(), stdin)
            .await
            .map_err(RehearsalError::file("run a script on", Path::new(host)))
    }

    /// Switches a node on, as its button would.
    pub fn power_on(&self, host: &str) -> Result<(), RehearsalError> {
        self.hosts.power_on(host)
    }

    /// Serves an interactive shell of a host on the caller's terminal until it ends; returns its exit status.
    pub async fn shell(&self, host: &str, input: OwnedFd, output: OwnedFd) -> Result<i32, RehearsalError> {
        let machine = self.hosts.machine(host)?;
        terminal::attach(&machine, input, output)
            .await
            .map_err(RehearsalError::file("open a shell on", Path::new(host)))
    }

    /// Ends all hosts, and removes the cluster's directory unless it is kept.
    pub async fn shutdown(mut self) -> Result<(), RehearsalError> {
        self.over = true;
        self.control.abort();
        let halted = self.hosts.shut_down(self.keep).await;
        let removed = if self.keep {
            Ok(())
        } else {
            remove_tree(&self.dir).map_err(RehearsalError::file("remove", &self.dir))
        };
        halted.and(removed)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        self.control.abort();
        self.hosts.halt_all();
        if !self.keep {
            // A destructor has nobody to tell.
            let _ = remove_tree(&self.dir);
        }
    }
}

/// Makes a directory completely or not at all: a half-made one would be taken for whole at the next start.
fn once(dir: &Path, make: impl FnOnce(&Path) -> Result<(), RehearsalError>) -> Result<(), RehearsalError> {
    if dir.exists() {
        return Ok(());
    }
    let fresh = dir.with_extension("new");
    remove_tree(&fresh).map_err(RehearsalError::file("remove", &fresh))?;
    make_dir(&fresh, 0o755).map_err(RehearsalError::file("make", &fresh))?;
    make(&fresh)?;
    fs::rename(&fresh, dir).map_err(RehearsalError::file("rename", &fresh))
}

/// Gives the program a name of its own in the cluster's directory: a new build of xplay may replace the other one
/// while the cluster runs.
fn pin_program(dir: &Path, exe: &Path) -> Result<PathBuf, RehearsalError> {
    let pinned = dir.join(PINNED);
    let size_bytes = fs::metadata(exe).map_err(RehearsalError::file("read", exe))?.len();
    // Hosts without mounts see this very file, so a copy is better; a debug build is too large for one each time.
    let pin = if size_bytes <= COPIED_PROGRAM_MAX { copy_program } else { link_file };
    pin(exe, &pinned).map_err(RehearsalError::file("copy this program to", &pinned))?;
    Ok(pinned)
}

fn copy_program(exe: &Path, pinned: &Path) -> std::io::Result<()> {
    write_file(pinned, 0o755, &fs::read(exe)?)
}

/// A directory with somebody's files in it must not become a cluster's.
fn check_kept_dir(dir: &Path) -> Result<(), RehearsalError> {
    const OURS_BEFORE_THE_LABEL: [&str; 4] = ["lock", PINNED, "probe", "probe.log"];
    check_programs_run(dir).map_err(RehearsalError::file("keep a cluster in", dir))?;
    if dir.join(LABEL).exists() {
        return Ok(());
    }
    for entry in fs::read_dir(dir).map_err(RehearsalError::file("read", dir))? {
        let name = entry.map_err(RehearsalError::file("read", dir))?.file_name();
        if !OURS_BEFORE_THE_LABEL.iter().any(|ours| name == *ours) {
            let reason = format!("it is no kept cluster but holds {}", name.to_string_lossy());
            return Err(RehearsalError::Kept { dir: dir.into(), reason });
        }
    }
    Ok(())
}

fn take_lock(dir: &Path) -> Result<HeldLock, RehearsalError> {
    let file = dir.join("lock");
    let lock = File::create(&file).map_err(RehearsalError::file("write", &file))?;
    match HeldLock::try_take(lock) {
        Ok(lock) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(RehearsalError::Kept { dir: dir.into(), reason: "another rehearsal is running in it".into() })
        }
        Err(TryLockError::Error(error)) => Err(RehearsalError::file("lock", &file)(error)),
    }
}

fn read_label(dir: &Path) -> Result<Option<Label>, RehearsalError> {
    let file = dir.join(LABEL);
    let text = match fs::read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(RehearsalError::file("read", &file)(error)),
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| RehearsalError::file("read", &file)(std::io::Error::other(error)))
}

fn write_label(dir: &Path, options: &ClusterOptions, way: Way) -> Result<(), RehearsalError> {
    let file = dir.join(LABEL);
    let label = Label {
        format: FORMAT,
        site: options.site.to_string(),
        mode: way.mode,
        user_namespace: way.user_namespace,
        builder: options.builder,
    };
    serde_json::to_vec(&label)
        .map_err(std::io::Error::other)
        .and_then(|text| write_file(&file, 0o644, &text))
        .map_err(RehearsalError::file("write", &file))
}

fn check_label(dir: &Path, label: &Label, options: &ClusterOptions) -> Result<(), RehearsalError> {
    let ClusterOptions { site, mode, builder, .. } = *options;
    let refuse = |reason: String| Err(RehearsalError::Kept { dir: dir.into(), reason });
    if label.format != FORMAT {
        return refuse("it was made by another version of xplay; use a new directory".into());
    }
    if label.site != site.to_string() {
        return refuse(format!("it is of site {}, not {site}", label.site));
    }
    if builder && !label.builder {
        return refuse("it has no build host; use a new directory".into());
    }
    if mode.is_some_and(|mode| mode != label.mode) {
        return refuse(format!("its hosts were entered by {:?}; use a new directory", label.mode));
    }
    Ok(())
}

/// Makes a private directory on a file system where programs may run.
pub(super) fn temporary_dir(prefix: &str) -> Result<PathBuf, RehearsalError> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home_cache = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let places =
        [Some(std::env::temp_dir()), cache, home_cache, Some("/var/tmp".into()), Some("/dev/shm".into())];
    let mut first = None;
    for place in places.into_iter().flatten().filter(|place| place.is_absolute()) {
        match usable_dir(&place, prefix) {
            Ok(dir) => return Ok(dir),
            Err(error) => {
                first.get_or_insert(RehearsalError::file("make a directory for the hosts in", &place)(error));
            }
        }
    }
    Err(first.unwrap_or(RehearsalError::Impossible {
        only: None,
        missing: vec!["TMPDIR names no directory".into()],
    }))
}

fn check_programs_run(dir: &Path) -> std::io::Result<()> {
    if rustix::fs::statvfs(dir)?.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC) {
        return Err(std::io::Error::other("its file system is mounted noexec, programs cannot run there"));
    }
    Ok(())
}

fn usable_dir(place: &Path, prefix: &str) -> std::io::Result<PathBuf> {
    check_programs_run(place)?;
    let dir = tempfile::Builder::new().prefix(prefix).tempdir_in(place)?.keep();
    dir.canonicalize()
}
