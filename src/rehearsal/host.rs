//! The hosts of a cluster: their disks, their power, and the boot that leads from one to the other.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use russh::server::Config;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::cut::CutFault;
use super::emulation;
use super::error::RehearsalError;
use super::faults::{self, FAULTS_FILE, Fault};
use super::link::{Bind, BindWhen, EnterSpec, Fill, RootMode};
use super::machine::{Machine, agent_log};
use super::site::{HostPlan, Role, Site};
use super::sshd::{Backend, Credentials, Door, Server};
use super::tree::{make_dir, remove_tree, write_file};

/// Where the supervisor's program lies in every root, for the emulated commands.
pub const PROGRAM: &str = "usr/libexec/xplay-rehearsal/xplay";

/// A node asks again for an image that is being packed; a real one every 27 seconds.
const IMAGE_RETRY: Duration = Duration::from_millis(500);

/// What is remembered of a host between two runs of a kept cluster.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Saved {
    is_on: bool,
    /// Set once a boot got as far as a running system.
    boot_id: Option<String>,
}

/// One host.
pub(super) struct Host {
    pub(super) plan: HostPlan,
    pub(super) dir: PathBuf,
    pub(super) door: Door,
    pub(super) config: Arc<Config>,
    saved: Mutex<Saved>,
    machine: Mutex<Option<Arc<Machine>>>,
    boot: Mutex<Option<JoinHandle<()>>>,
    /// Counts the boots; a boot that has been overtaken must leave no trace.
    turn: Mutex<u64>,
    /// Held while its root is filled: an overtaken boot may still be at it.
    loading: Mutex<()>,
}

/// All hosts and what they share.
pub(super) struct Hosts {
    pub(super) site: Site,
    pub(super) mode: RootMode,
    pub(super) user_namespace: bool,
    pub(super) exe: PathBuf,
    /// One step of a boot; a boot has four.
    pub(super) pace: Duration,
    pub(super) management_root: PathBuf,
    pub(super) credentials: Arc<Credentials>,
    pub(super) cut: Arc<CutFault>,
    pub(super) list: Vec<Host>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Host {
    /// Takes a host's directory, new or kept.
    pub(super) fn open(
        plan: HostPlan,
        dir: PathBuf,
        door: Door,
        config: Arc<Config>,
    ) -> Result<Self, RehearsalError> {
        make_dir(&dir, 0o755).map_err(RehearsalError::file("make", &dir))?;
        let file = dir.join("state.json");
        let saved = match fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| RehearsalError::file("read", &file)(io::Error::other(error)))?,
            Err(_) => Saved::default(),
        };
        Ok(Self {
            plan,
            dir,
            door,
            config,
            saved: Mutex::new(saved),
            machine: Mutex::default(),
            boot: Mutex::default(),
            turn: Mutex::default(),
            loading: Mutex::default(),
        })
    }

    fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// The copy of the image it was booted from: the original may be repacked meanwhile.
    fn image(&self) -> PathBuf {
        self.dir.join("booted-image")
    }

    fn suspended(&self) -> PathBuf {
        self.dir.join("suspended.tar")
    }

    pub(super) fn is_on(&self) -> bool {
        lock(&self.saved).is_on
    }

    /// The running host, if it runs.
    pub(super) fn machine(&self) -> Option<Arc<Machine>> {
        lock(&self.machine).clone()
    }

    fn save(&self, change: impl FnOnce(&mut Saved)) -> Result<(), RehearsalError> {
        let text = {
            let mut saved = lock(&self.saved);
            change(&mut saved);
            serde_json::to_vec(&*saved).map_err(io::Error::other)
        };
        let file = self.dir.join("state.json");
        text.and_then(|text| write_file(&file, 0o644, &text)).map_err(RehearsalError::file("write", &file))
    }

    /// Does one step of a boot, unless the host has been switched off or reset since it began.
    fn step<T>(
        &self,
        turn: u64,
        step: impl FnOnce() -> Result<T, RehearsalError>,
    ) -> Result<T, RehearsalError> {
        let current = lock(&self.turn);
        if *current != turn {
            return Err(RehearsalError::NotRunning(self.plan.name.into()));
        }
        step()
    }

    /// Ends the running system and any boot under way. Blocks.
    fn halt(&self) {
        if let Some(task) = lock(&self.boot).take() {
            task.abort();
        }
        // Aborting does not stop a boot between two of its waits.
        *lock(&self.turn) += 1;
        self.door.close();
        let machine = lock(&self.machine).take();
        if let Some(machine) = machine {
            machine.stop();
        }
    }
}

impl Hosts {
    pub(super) fn find(&self, name: &str) -> Result<&Host, RehearsalError> {
        self.list
            .iter()
            .find(|host| host.plan.name == name)
            .ok_or_else(|| RehearsalError::NoSuchHost(name.to_string()))
    }

    /// The running machine of a host.
    pub(super) fn machine(&self, name: &str) -> Result<Arc<Machine>, RehearsalError> {
        self.find(name)?.machine().ok_or_else(|| RehearsalError::NotRunning(name.to_string()))
    }

    fn faults(&self) -> Vec<Fault> {
        faults::parse(&fs::read_to_string(self.management_root.join(FAULTS_FILE)).unwrap_or_default())
    }

    /// The host that faults of booting hit.
    fn is_victim(&self, host: &Host) -> bool {
        self.list.iter().rfind(|host| host.plan.role == Role::Service).map(|host| host.plan.name)
            == Some(host.plan.name)
    }

    fn spec(&self, host: &Host, fill: Fill, boot_id: String) -> EnterSpec {
        let diskless = !host.plan.role.has_disk();
        let mut binds = vec![Bind {
            source: self.exe.clone(),
            target: PROGRAM.into(),
            read_only: true,
            when: BindWhen::Always,
        }];
        if diskless {
            binds.extend(["install", "tftpboot"].map(|name| Bind {
                source: self.management_root.join(name),
                target: name.into(),
                read_only: false,
                when: BindWhen::Fstab,
            }));
            binds.retain(|bind| bind.source.exists());
        }
        if host.plan.role == Role::Builder {
            // As xCAT's manual says it for a build host: the lists and genimage's own programs come from there too.
            binds.extend([("install", false), (emulation::NETBOOT_SHARE, true)].map(|(name, read_only)| {
                Bind {
                    source: self.management_root.join(name),
                    target: name.into(),
                    read_only,
                    when: BindWhen::Always,
                }
            }));
        }
        EnterSpec {
            root: host.root(),
            hostname: host.plan.name.into(),
            management_root: self.management_root.clone(),
            mode: self.mode,
            user_namespace: self.user_namespace,
            fill,
            diskless,
            boot_id,
            binds,
        }
    }

    /// Starts the agent of a host. Blocks.
    fn start_machine(
        &self,
        host: &Host,
        fill: Fill,
        boot_id: String,
    ) -> Result<Arc<Machine>, RehearsalError> {
        let root = host.root();
        make_dir(&root, 0o755).map_err(RehearsalError::file("make", &root))?;
        let machine = Machine::start(&self.exe, &self.spec(host, fill, boot_id), &agent_log(&host.dir))?;
        Ok(Arc::new(machine))
    }

    fn open_door(&self, host: &Host, machine: &Arc<Machine>) -> Result<(), RehearsalError> {
        *lock(&host.machine) = Some(Arc::clone(machine));
        let server = Server::new(
            Backend::Machine(Arc::clone(machine)),
            Arc::clone(&self.credentials),
            Arc::clone(&host.config),
            host.plan.role.has_disk().then(|| Arc::clone(&self.cut)),
        );
        host.door.open(server).map_err(|source| RehearsalError::File {
            action: "listen for the ssh server of",
            path: host.plan.name.into(),
            source,
        })
    }

    /// Starts the hosts with disks, and the nodes that ran when a kept cluster was shut down. Blocks.
    pub(super) fn start(&self) -> Result<(), RehearsalError> {
        for host in &self.list {
            let saved = lock(&host.saved).clone();
            if host.plan.role.has_disk() {
                let boot_id = match saved.boot_id {
                    Some(boot_id) => boot_id,
                    None => new_boot_id()?,
                };
                let machine = self.start_machine(host, Fill::Directory, boot_id.clone())?;
                self.open_door(host, &machine)?;
                host.save(|saved| *saved = Saved { is_on: true, boot_id: Some(boot_id) })?;
            } else if let (true, Some(boot_id)) = (saved.is_on, saved.boot_id) {
                let fill = match self.mode {
                    RootMode::Chroot => Fill::Directory,
                    RootMode::Namespaces if host.suspended().exists() => Fill::Suspended(host.suspended()),
                    // The last supervisor was killed: what was changed on the running node is lost, as by a reset.
                    RootMode::Namespaces => Fill::Image(host.image()),
                };
                let machine = self.start_machine(host, fill, boot_id)?;
                self.open_door(host, &machine)?;
            }
        }
        Ok(())
    }

    /// Switches a node on, as far as it is off. Its boot goes on in the background.
    pub(super) fn power_on(self: &Arc<Self>, name: &str) -> Result<(), RehearsalError> {
        if self.diskless(name)?.is_on() {
            return Ok(());
        }
        self.begin_boot(name)
    }

    /// Switches a node off. Blocks until its processes are gone.
    pub(super) fn power_off(&self, name: &str) -> Result<(), RehearsalError> {
        let host = self.diskless(name)?;
        host.halt();
        host.save(|saved| *saved = Saved::default())
    }

    /// Boots a node anew when it is on. Blocks until its processes are gone.
    pub(super) fn reset(self: &Arc<Self>, name: &str) -> Result<(), RehearsalError> {
        if !self.diskless(name)?.is_on() {
            return Ok(());
        }
        self.begin_boot(name)
    }

    fn diskless(&self, name: &str) -> Result<&Host, RehearsalError> {
        let host = self.find(name)?;
        if host.plan.role.has_disk() {
            return Err(RehearsalError::Emulation {
                host: name.into(),
                reason: "its power is not under the management node's control".into(),
            });
        }
        Ok(host)
    }

    fn begin_boot(self: &Arc<Self>, name: &str) -> Result<(), RehearsalError> {
        let host = self.find(name)?;
        host.halt();
        host.save(|saved| *saved = Saved { is_on: true, boot_id: None })?;
        let (hosts, name, turn) = (Arc::clone(self), name.to_string(), *lock(&host.turn));
        let task = tokio::spawn(async move {
            let Ok(host) = hosts.find(&name) else { return };
            if let Err(error) = hosts.boot(host, turn).await {
                hosts.console(host, &format!("boot failed: {error}"));
            }
        });
        *lock(&host.boot) = Some(task);
        Ok(())
    }

    /// One line on a node's serial console, as the management node records it.
    fn console(&self, host: &Host, line: &str) {
        let file = self.management_root.join("var/log/consoles").join(host.plan.name);
        let text = format!("{line}\r\n");
        // A full or missing log directory must not stop a boot.
        let _ = OpenOptions::new()
            .create(true)
            .append(true)
            .open(file)
            .and_then(|mut file| file.write_all(text.as_bytes()));
    }

    async fn boot(self: &Arc<Self>, host: &Host, turn: u64) -> Result<(), RehearsalError> {
        let name = host.plan.name;
        self.console(host, &format!("xplay rehearsal: {name} powered on, network boot"));
        tokio::time::sleep(self.pace).await;
        let refused =
            |error: io::Error| RehearsalError::Emulation { host: name.into(), reason: error.to_string() };
        let Some(image) = emulation::boot_target(&self.management_root, name).map_err(refused)? else {
            self.console(host, "PXE-E53: no boot filename received; waiting for a boot file");
            return Ok(());
        };
        self.console(host, &format!("loading {}", self.inside(&image)));
        if !is_served(&image) {
            self.console(host, "the image is not served (yet), trying again");
            while !is_served(&image) {
                tokio::time::sleep(IMAGE_RETRY).await;
            }
        }
        if self.is_victim(host) && self.faults().contains(&Fault::NodeNeverBoots) {
            self.console(host, "Kernel panic - not syncing: rehearsal fault node-never-boots");
            return Ok(());
        }
        host.step(turn, || self.report(host, "netbooting"))?;
        tokio::time::sleep(self.pace).await;
        let boot_id = new_boot_id()?;
        let machine = {
            let (hosts, boot_id) = (Arc::clone(self), boot_id.clone());
            // An index, because a borrowed host cannot go to another thread.
            let work = tokio::task::spawn_blocking(move || hosts.load(name, turn, &image, boot_id));
            match work.await {
                Ok(result) => result?,
                Err(error) => return Err(refused(io::Error::other(error))),
            }
        };
        self.console(host, "Switching root");
        if self.is_victim(host) && self.faults().contains(&Fault::NodeBootsOldImage) {
            let script = b"sed -i \"s/^IMAGEUUID=.*/IMAGEUUID='00000000-0000-4000-8000-000000000000'/\" /opt/xcat/xcatinfo";
            // An image without the file has no id at all, which is as wrong.
            let _ = machine.run(script, b"").await;
        }
        host.step(turn, || self.report(host, "postbooting"))?;
        tokio::time::sleep(self.pace).await;
        host.step(turn, || self.open_door(host, &machine))?;
        self.console(host, &format!("{name} login: "));
        tokio::time::sleep(self.pace).await;
        host.step(turn, || {
            host.save(|saved| saved.boot_id = Some(boot_id))?;
            self.report(host, "booted")
        })
    }

    /// Copies the image out of the way of the next packimage and starts the host from it. Blocks.
    fn load(
        &self,
        name: &str,
        turn: u64,
        image: &Path,
        boot_id: String,
    ) -> Result<Arc<Machine>, RehearsalError> {
        let host = self.find(name)?;
        let _alone = lock(&host.loading);
        host.step(turn, || Ok(()))?;
        let copy = host.image();
        fs::copy(image, &copy).map_err(RehearsalError::file("load the boot image", image))?;
        if host.suspended().exists() {
            fs::remove_file(host.suspended()).map_err(RehearsalError::file("remove", &host.suspended()))?;
        }
        if self.mode == RootMode::Chroot {
            remove_tree(&host.root()).map_err(RehearsalError::file("clear", &host.root()))?;
        }
        self.start_machine(host, Fill::Image(copy), boot_id)
    }

    fn report(&self, host: &Host, word: &str) -> Result<(), RehearsalError> {
        self.console(host, &format!("xcat.deployment: status {word}"));
        emulation::report_status(&self.management_root, host.plan.name, word).map_err(|error| {
            RehearsalError::Emulation { host: host.plan.name.into(), reason: error.to_string() }
        })
    }

    /// A path as the management node sees it.
    fn inside(&self, path: &Path) -> String {
        path.strip_prefix(&self.management_root)
            .map_or_else(|_| path.display().to_string(), |inside| format!("/{}", inside.display()))
    }

    /// Ends every host; for a cluster that is kept, the running nodes' memory is written to disk first.
    pub(super) async fn shut_down(self: &Arc<Self>, keep: bool) -> Result<(), RehearsalError> {
        let mut outcome = Ok(());
        for host in &self.list {
            host.door.close();
            let is_memory = self.mode == RootMode::Namespaces && !host.plan.role.has_disk();
            if let (true, true, Some(machine)) = (keep, is_memory, host.machine()) {
                outcome = outcome.and(suspend(host, &machine).await);
            }
        }
        let hosts = Arc::clone(self);
        match tokio::task::spawn_blocking(move || hosts.halt_all()).await {
            Ok(()) => outcome,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Ends every host. Blocks.
    pub(super) fn halt_all(&self) {
        self.list.iter().for_each(Host::halt);
    }
}

/// Whether the management node's web server would hand out this file: packimage hides it until it is whole.
fn is_served(image: &Path) -> bool {
    fs::metadata(image).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o004 != 0)
}

/// Writes a running node's memory file system to disk.
async fn suspend(host: &Host, machine: &Machine) -> Result<(), RehearsalError> {
    let target = host.suspended();
    let failed = RehearsalError::file("write", &target);
    // Whatever is mounted there comes back by itself; tar's own --one-file-system does not see mounted files.
    let script = b"cd / && awk '$2 != \"/\" { print \".\" $2 }' /proc/mounts >/dev/shm/mounted &&
        exec tar -X /dev/shm/mounted -cf - .";
    let output = match machine.run(script, b"").await {
        Ok(output) => output,
        Err(error) => return Err(failed(error)),
    };
    // 1 is "a file changed while it was read": processes are still running.
    if output.exit.code() > 1 {
        let reason = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(failed(io::Error::other(reason)));
    }
    write_file(&target, 0o600, &output.stdout).map_err(failed)
}

/// A random id in the form of the kernel's.
fn new_boot_id() -> Result<String, RehearsalError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        RehearsalError::file("read", Path::new("/dev/urandom"))(io::Error::other(error.to_string()))
    })?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let part = |from: usize, to: usize| hex[from..to].concat();
    Ok([part(0, 4), part(4, 6), part(6, 8), part(8, 10), part(10, 16)].join("-"))
}
