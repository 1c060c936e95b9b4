//! The rehearsal cluster from outside: over the system's own ssh client, in each way of entering roots.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::rehearse::{Mode, Rehearsal, can};
use xplay::rehearsal::{
    Cluster, ClusterOptions, Control, Exit, Fault, HostAccess, Power, RehearsalError, RootMode, Site, start,
    start_plain,
};

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn have(program: &str) -> bool {
    let found = Command::new(program).arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

/// The program under test; an installed one can be named instead of the one just built.
fn program() -> PathBuf {
    std::env::var_os("XPLAY_TEST_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_xplay").into()).into()
}

fn options(mode: RootMode) -> ClusterOptions {
    ClusterOptions {
        mode: Some(mode),
        pace: Duration::from_millis(20),
        exe: Some(program()),
        ..ClusterOptions::default()
    }
}

/// Starts a cluster, or says why this machine cannot.
async fn cluster(options: ClusterOptions) -> Option<Cluster> {
    match start(options).await {
        Ok(cluster) => Some(cluster),
        Err(RehearsalError::Impossible { missing, .. }) => {
            println!("skipped: {}", missing.join("; "));
            None
        }
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    }
}

fn ssh_command(host: &HostAccess, known_hosts: &Path) -> Command {
    let mut ssh = Command::new("ssh");
    ssh.args([
        "-F",
        "none",
        "-o",
        "BatchMode=yes",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "LogLevel=ERROR",
    ]);
    ssh.arg("-o").arg(format!("UserKnownHostsFile={}", known_hosts.display()));
    ssh.arg("-i").arg(&host.key_file).arg("-p").arg(host.address.port().to_string());
    ssh.arg(format!("{}@{}", host.user, host.address.ip()));
    ssh
}

fn ssh_input(cluster: &Cluster, host: &str, command: &str, input: &[u8]) -> Output {
    let access = cluster.hosts().iter().find(|access| access.name == host).unwrap();
    let mut child = ssh_command(access, &cluster.known_hosts_path())
        .arg(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    output
}

/// Standard output of a command that must succeed.
fn ssh(cluster: &Cluster, host: &str, command: &str) -> String {
    let output = ssh_input(cluster, host, command, b"");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command}: {:?} {}", output.status, text(&output.stderr));
    text(&output.stdout)
}

fn terminals(cluster: &Cluster) {
    let access = cluster.hosts().iter().find(|access| access.name == "mn1").unwrap();
    let mut ssh = ssh_command(access, &cluster.known_hosts_path());
    ssh.args(["-tt", "test -t 0 && test -t 1 && echo a terminal; stty -a | head -n 1; exit 5"]);
    let output = ssh.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.starts_with("a terminal\r\nspeed "), "{output:?}");
    assert_eq!(output.status.code(), Some(5));
}

async fn shells(cluster: &Cluster) {
    let (input, mut keyboard) = std::io::pipe().unwrap();
    let (mut screen, output) = std::io::pipe().unwrap();
    keyboard.write_all(b"hostname; echo to stderr >&2; exit 6\n").unwrap();
    drop(keyboard);
    let status = cluster.shell("mn1", input.into(), output.into()).await.unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut screen, &mut text).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!((status, lines), (6, vec!["mn1", "to stderr"]));
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// What every way of entering roots must give.
async fn everyday_use(mode: RootMode) {
    if !have("ssh") {
        return;
    }
    let before = Instant::now();
    let Some(cluster) = cluster(options(mode)).await else { return };
    println!("started in {:?}", before.elapsed());
    let cluster = blocking(move || {
        identity(&cluster);
        streams(&cluster);
        isolation(&cluster, mode);
        speed(&cluster);
        terminals(&cluster);
        cluster
    })
    .await;
    shells(&cluster).await;
    let dir = cluster.state_dir().to_path_buf();
    cluster.shutdown().await.unwrap();
    assert!(!dir.exists());
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    assert!(!mounts.contains(dir.to_str().unwrap()), "{mounts}");
    assert_eq!(
        processes(&format!("sleep\u{0}{}", sleep_secs(mode))),
        Vec::<String>::new(),
        "processes left behind"
    );
}

/// Tells the sleeping processes of tests that run at the same time apart.
fn sleep_secs(mode: RootMode) -> u32 {
    let user = rustix::process::geteuid().as_raw();
    80_000 + user % 1000 * 2 + u32::from(mode == RootMode::Chroot)
}

fn identity(cluster: &Cluster) {
    assert_eq!(ssh(cluster, "mn1", "uname -m"), "x86_64\n");
    assert_eq!(ssh(cluster, "mn1", "hostname; id -u; echo $HOME $PWD"), "mn1\n0\n/root /root\n");
    assert_eq!(
        ssh(cluster, "mn1", "cat /etc/redhat-release; . /etc/os-release; echo $ID $VERSION_ID"),
        "Red Hat Enterprise Linux release 9.4 (Plow)\nrhel 9.4\n"
    );
    assert_eq!(ssh(cluster, "mn1", "sudo -H -n -u root sh -c 'echo $USER'"), "root\n");
    assert_eq!(ssh(cluster, "mn1", "awk '$2 == \"sn2\" {print $1}' /etc/hosts"), "10.20.0.12\n");
    let other_user = HostAccess { user: "nobody".into(), ..cluster.hosts()[0].clone() };
    let refused = ssh_command(&other_user, &cluster.known_hosts_path()).arg("true").output().unwrap();
    assert_eq!(refused.status.code(), Some(255));
    let off = ssh_input(cluster, "sn1", "true", b"");
    assert_eq!(off.status.code(), Some(255));
    assert!(String::from_utf8_lossy(&off.stderr).contains("Connection refused"), "{off:?}");
}

fn streams(cluster: &Cluster) {
    let output = ssh_input(cluster, "mn1", "echo out; echo err >&2; exit 7", b"");
    assert_eq!(
        (output.status.code(), &output.stdout[..], &output.stderr[..]),
        (Some(7), &b"out\n"[..], &b"err\n"[..])
    );
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let echoed = ssh_input(cluster, "mn1", "cat", &bytes);
    assert!(echoed.stdout == bytes, "{} of {} bytes came back", echoed.stdout.len(), bytes.len());
    let counted = ssh_input(cluster, "mn1", "head -c 5; wc -c >/dev/null; printf '\\377\\000'", &bytes);
    assert_eq!(counted.stdout, [&bytes[..5], &[0xff, 0]].concat());
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| ssh(cluster, "mn1", "sleep 0.5; cat /tmp/mark"));
        ssh(cluster, "mn1", "echo seen >/tmp/mark");
        assert_eq!(slow.join().unwrap(), "seen\n");
    });
    // A job in the background outlives its session, as on a real host.
    ssh(cluster, "mn1", "(sleep 0.3; echo late >/tmp/late) >/dev/null 2>&1 </dev/null &");
    assert_eq!(ssh(cluster, "mn1", "sleep 1; cat /tmp/late"), "late\n");
    ssh(cluster, "mn1", &format!("sleep {} >/dev/null 2>&1 </dev/null &", sleep_secs(cluster.mode())));
}

fn isolation(cluster: &Cluster, mode: RootMode) {
    let here = env!("CARGO_MANIFEST_DIR");
    assert_eq!(ssh(cluster, "mn1", &format!("ls -d {here} 2>/dev/null || echo unseen")), "unseen\n");
    ssh(cluster, "mn1", "echo x >/xplay-test-file; mkdir /root/d; : >/dev/null");
    assert!(!Path::new("/xplay-test-file").exists());
    assert!(cluster.management_root().join("xplay-test-file").exists());
    if mode == RootMode::Namespaces {
        let pids = ssh(cluster, "mn1", "cd /proc && ls -d [0-9]* | wc -l");
        assert!(pids.trim().parse::<u32>().unwrap() < 20, "{pids}");
        assert_eq!(ssh(cluster, "mn1", "cat /proc/sys/kernel/hostname"), "mn1\n");
        let denied = ssh_input(cluster, "mn1", "echo 1 >/proc/sys/kernel/panic", b"");
        assert_ne!(denied.status.code(), Some(0));
    } else {
        assert_eq!(ssh(cluster, "mn1", "cat /proc/sys/kernel/hostname"), "mn1\n");
    }
    let ids = ssh(cluster, "mn1", "cat /run/boot_id /proc/sys/kernel/random/boot_id");
    let (one, other) = ids.split_once('\n').unwrap();
    assert_eq!(one, other.trim());
    let host_tool = fs::metadata("/bin/cat").unwrap();
    let tool = fs::metadata(cluster.management_root().join("usr/bin/cat")).unwrap();
    assert_ne!(std::os::unix::fs::MetadataExt::ino(&host_tool), std::os::unix::fs::MetadataExt::ino(&tool));
}

/// A persistent shell must answer at once: no delayed small packets.
fn speed(cluster: &Cluster) {
    use std::io::{BufRead, BufReader};
    let access = cluster.hosts().iter().find(|access| access.name == "mn1").unwrap();
    let mut child = ssh_command(access, &cluster.known_hosts_path())
        .arg("sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let before = Instant::now();
    for round in 0..100 {
        writeln!(stdin, "echo {round}").unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, format!("{round}\n"));
    }
    println!("100 rounds of a persistent shell: {:?}", before.elapsed());
    assert!(before.elapsed() < Duration::from_secs(3));
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

/// Processes of this machine, seen from outside, whose command line contains `text`.
fn processes(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        if fs::read_to_string(entry.path().join("cmdline")).is_ok_and(|line| line.contains(text)) {
            found.push(entry.path().display().to_string());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyday_use_by_namespaces() {
    everyday_use(RootMode::Namespaces).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyday_use_by_chroot() {
    everyday_use(RootMode::Chroot).await;
}

/// Runs the tests of namespaces again as an ordinary user.
#[test]
fn works_as_an_ordinary_user() {
    if !is_root() {
        println!("skipped: the other tests already run as an ordinary user");
        return;
    }
    if !have("setpriv") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let readable = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(program())
        .arg("--version")
        .status();
    if !readable.is_ok_and(|status| status.success()) {
        println!("skipped: an ordinary user may not run the program under test");
        return;
    }
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(std::env::current_exe().unwrap())
        .args(["--nocapture", "--test-threads=1", "_by_namespaces"])
        .env("TMPDIR", dir.path())
        .env("HOME", "/nonexistent")
        .current_dir("/")
        .output()
        .unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{text}");
    assert!(output.status.success(), "{text}");
}

/// What cannot be done is named as it was asked for.
#[test]
fn an_ordinary_user_cannot_have_chroot() {
    if !can("an_ordinary_user_cannot_have_chroot", Mode::Unprivileged) {
        return;
    }
    let cluster = Rehearsal::new("el9", Mode::Unprivileged);
    let said = cluster.plain(&["playbooks/service-node.yml", "--root-mode", "chroot"]);
    assert_eq!(said.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&said.stderr),
        "error: cannot start rehearsal hosts: this machine does not allow chroot, which --root-mode asks for\n\
         chroot: only root may change its root; run as root, or allow user namespaces\n"
    );
}

const EXPECTED_WAY: &str = "XPLAY_TEST_EXPECTED_WAY";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_is_chosen() {
    let expected = std::env::var(EXPECTED_WAY);
    let found = match start(ClusterOptions { mode: None, ..options(RootMode::Chroot) }).await {
        Ok(cluster) => {
            let way = format!("{:?}", cluster.mode());
            cluster.shutdown().await.unwrap();
            way
        }
        Err(RehearsalError::Impossible { missing, .. }) => {
            println!("{}", missing.join("\n"));
            "Impossible".into()
        }
        Err(error) => panic!("{error}"),
    };
    println!("way: {found}");
    assert!(expected.is_err() || expected.as_deref() == Ok(found.as_str()), "{found}");
}

/// Root in a container that forbids namespaces: root of a user namespace that may have no others below it.
#[test]
fn works_as_root_in_a_container() {
    if !is_root() || !have("setpriv") || !have("unshare") {
        println!("skipped: needs root, setpriv and unshare");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let inside = |without: &str, script: &str| {
        let script = format!(
            "echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set={without} sh -c '{script}'"
        );
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "unshare", "-Ur", "sh", "-c", &script])
            .env("TMPDIR", dir.path())
            .env("IT", std::env::current_exe().unwrap())
            .current_dir("/")
            .output()
            .unwrap();
        let text = [&output.stdout[..], &output.stderr[..]].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    };
    let (possible, text) = inside("-sys_admin,-mknod", &format!("exec {} --version", program().display()));
    if !possible {
        println!("skipped: this machine cannot imitate such a container: {text}");
        return;
    }
    let way = |way: &str| {
        format!("{EXPECTED_WAY}={way} exec \"$IT\" --nocapture --exact rehearsal::a_way_is_chosen")
    };
    let (passed, text) = inside("-sys_admin,-mknod", &way("Chroot"));
    assert!(passed, "{text}");
    let (passed, text) = inside("-sys_admin,-mknod,-sys_chroot", &way("Impossible"));
    assert!(passed && text.contains("user.max_user_namespaces is 0"), "{text}");
    let (passed, text) = inside("-sys_admin,-mknod", "exec \"$IT\" --nocapture --test-threads=1 _by_chroot");
    println!("{text}");
    assert!(passed && !text.contains("skipped"), "{text}");
}

/// The emulated xCAT's own way from the medium to a booted service node, as the shipped playbook goes it.
async fn builds_and_boots_by_xcat(mode: RootMode) {
    if !have("ssh") {
        return;
    }
    let Some(cluster) = cluster(options(mode)).await else { return };
    let build = r#"set -e
        . /etc/profile
        copycds /root/media/rhels9.4-x86_64.iso -n rhels9.4
        mkdef -t osimage -o site --template rhels9.4-x86_64-netboot-compute profile=service provmethod=netboot \
            rootimgdir=/install/netboot/site
        mkdir -p /install/post/otherpkgs/rhels9.4/x86_64/xcat
        tar -C /install/post/otherpkgs/rhels9.4/x86_64/xcat -xzf /root/media/xcat-core-*-linux.tar.gz
        tar -C /install/post/otherpkgs/rhels9.4/x86_64/xcat -xzf /root/media/xcat-dep-*-linux.tar.gz
        share=/opt/xcat/share/xcat/netboot/rh/service.rhels9.x86_64
        chdef -t osimage site pkglist=$share.pkglist otherpkglist=$share.otherpkgs.pkglist exlist=$share.exlist \
            postinstall=$share.postinstall otherpkgdir=/install/post/otherpkgs/rhels9.4/x86_64
        genimage site
        chroot /install/netboot/site/rootimg systemctl disable dhcpd
        echo 'mn1:/install /install nfs rw 0 0' >>/install/netboot/site/rootimg/etc/fstab
        packimage site
        nodeset sn1 osimage=site
        ls /root/media/update
        rsetboot sn1 net; rpower sn1 boot"#;
    let output = tokio::task::block_in_place(|| ssh_input(&cluster, "mn1", build, b""));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && stdout.ends_with("sn1: Network\nsn1: on\n"), "{stdout}\n{stderr}");
    let deadline = Instant::now() + Duration::from_secs(60);
    while ssh_in(&cluster, "mn1", "/opt/xcat/bin/nodels sn1 nodelist.status").await != "sn1: booted\n" {
        let console = fs::read_to_string(cluster.management_root().join("var/log/consoles/sn1"));
        assert!(Instant::now() < deadline, "{console:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let facts = "uname -nm; awk '$2 == \"/\" {k = $3} END {print k}' /proc/mounts; grep -c NODE=sn1 /opt/xcat/xcatinfo
        systemctl is-enabled dhcpd; /opt/xcat/bin/lsxcatd -t; /opt/xcat/sbin/tabdump site | grep -c master
        getent hosts cn1 | cut -d' ' -f1; mountpoint -q /install && ls -d /install/netboot/site";
    let expected =
        "sn1 x86_64\ntmpfs\n1\ndisabled\nThis is a Service Node\n1\n10.20.0.21\n/install/netboot/site\n";
    assert_eq!(ssh_in(&cluster, "sn1", facts).await, expected);
    assert_eq!(
        ssh_in(&cluster, "mn1", "/opt/xcat/bin/xdsh sn1 hostname; ssh root@sn1 hostname").await,
        "sn1: sn1\nsn1\n"
    );
    assert_eq!(
        ssh_in(&cluster, "mn1", "/opt/xcat/bin/rpower sn1,sn2 stat | sort").await,
        "sn1: on\nsn2: off\n"
    );
    cluster.shutdown().await.unwrap();
}

/// The same on the site of the procedure document, where copycds makes the image definition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn builds_and_boots_the_seed_site_by_namespaces() {
    if !have("ssh") {
        return;
    }
    let seed = ClusterOptions { site: Site::Seed, ..options(RootMode::Namespaces) };
    let Some(cluster) = cluster(seed).await else { return };
    let build = r#"set -e
        . /etc/profile
        copycds /root/media/rhels6.4-ppc64.iso
        others=/install/post/otherpkgs/rhels6.4/ppc64/xcat
        mkdir -p $others
        tar -C $others -xzf /root/media/xcat-core-*-linux.tar.gz
        tar -C $others -xzf /root/media/xcat-dep-*-linux.tar.gz
        image=rhels6.4-ppc64-netboot-service
        lsdef -t osimage $image -i rootimgdir
        genimage $image
        chroot /install/netboot/rhels6.4/ppc64/service/rootimg chkconfig dhcpd off
        packimage $image
        nodeset sn1 osimage=$image
        rnetboot sn1"#;
    let output = tokio::task::block_in_place(|| ssh_input(&cluster, "mn1", build, b""));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    while console_end(&cluster, "sn1") != "xcat.deployment: status booted" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(
        ssh_in(
            &cluster,
            "sn1",
            "uname -m; cat /etc/redhat-release; chkconfig --list dhcpd | tr -s '\\t' ' '"
        )
        .await,
        "ppc64\nRed Hat Enterprise Linux 6.4\ndhcpd 0:off 1:off 2:off 3:off 4:off 5:off 6:off\n"
    );
    cluster.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn builds_and_boots_by_xcat_by_namespaces() {
    builds_and_boots_by_xcat(RootMode::Namespaces).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn builds_and_boots_by_xcat_by_chroot() {
    builds_and_boots_by_xcat(RootMode::Chroot).await;
}

/// Builds an image on the management node by its own tools and names it in a boot file.
async fn make_image(cluster: &Cluster, mark: &str) {
    let script = format!(
        "set -e
        image=/install/netboot/test/rootimg
        rm -rf $image; mkdir -p ${{image%/*}} /tftpboot/xcat/xnba/nodes /opt/xcat
        cp -a /usr/share/xplay-rehearsal/userland $image
        mkdir -p $image/etc $image/opt/xcat $image/root $image/tmp $image/run $image/install
        cp /etc/passwd /etc/group $image/etc/
        echo 'mn1:/install /install nfs rw 0 0' >$image/etc/fstab
        printf \"IMAGENAME='test'\\nIMAGEUUID='{mark}'\\n\" >$image/opt/xcat/xcatinfo
        tar -C $image -cf - . | gzip -1 >${{image}}.tar.gz
        echo 'kernel imgurl=http://10.20.0.1:80//install/netboot/test/rootimg.tar.gz XCAT=x NODE=sn1' \
            >/tftpboot/xcat/xnba/nodes/sn1"
    );
    let output = cluster.run("mn1", &script, b"").await.unwrap();
    assert_eq!(output.exit, Exit::Code(0), "{}", String::from_utf8_lossy(&output.stderr));
}

async fn wait_until_up(cluster: &Cluster, host: &str) {
    let address = cluster.address(host).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while tokio::net::TcpStream::connect(address).await.is_err() {
        let console = fs::read_to_string(cluster.management_root().join("var/log/consoles").join(host));
        assert!(Instant::now() < deadline, "{host} did not boot: {console:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn power(cluster: &Cluster, host: &'static str, action: Power) -> bool {
    let control = Control::in_root(cluster.management_root());
    blocking(move || control.power(host, action).unwrap()).await
}

async fn boots_an_image(mode: RootMode) {
    if !have("ssh") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("thesis.txt"), "").unwrap();
    let foreign = start(ClusterOptions { dir: Some(place.path().into()), ..options(mode) }).await;
    assert!(matches!(foreign, Err(RehearsalError::Kept { .. })), "somebody's directory");
    // Deeper than the path of a Unix socket may be long.
    let dir: PathBuf = place.path().join("a-long-name-for-a-directory".repeat(4));
    let kept = ClusterOptions { dir: Some(dir.clone()), ..options(mode) };
    let Some(running) = cluster(kept.clone()).await else { return };
    make_image(&running, "11").await;
    assert!(!power(&running, "sn1", Power::State).await);
    assert!(power(&running, "sn1", Power::On).await);
    wait_until_up(&running, "sn1").await;
    let facts = "hostname; sed -n 's/IMAGEUUID=//p' /opt/xcat/xcatinfo; awk '$2 == \"/\" {k = $3} END {print k}' /proc/mounts
        awk '$2 == \"/install\" {n++} END {print n + 0}' /proc/mounts; ls /install/netboot/test | sort | tr '\\n' ' '";
    let expected = "sn1\n'11'\ntmpfs\n1\nrootimg rootimg.tar.gz ";
    let first_id = ssh_in(&running, "sn1", "cat /proc/sys/kernel/random/boot_id").await;
    assert_eq!(ssh_in(&running, "sn1", facts).await, expected);

    make_image(&running, "22").await;
    assert!(power(&running, "sn1", Power::Reset).await);
    wait_until_up(&running, "sn1").await;
    assert_eq!(ssh_in(&running, "sn1", facts).await, expected.replace("11", "22"));
    let second_id = ssh_in(&running, "sn1", "cat /proc/sys/kernel/random/boot_id").await;
    assert_ne!(first_id, second_id);
    ssh_in(&running, "sn1", "echo synced >/etc/synced").await;
    while console_end(&running, "sn1") != "xcat.deployment: status booted" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.shutdown().await.unwrap();

    let other_site = start(ClusterOptions { site: Site::Seed, ..kept.clone() }).await;
    assert!(matches!(other_site, Err(RehearsalError::Kept { .. })), "another site's directory");
    let again = cluster(kept.clone()).await.unwrap();
    assert_eq!(
        ssh_in(&again, "sn1", "cat /etc/synced; cat /run/boot_id").await,
        format!("synced\n{second_id}")
    );
    let second = start(kept).await;
    assert!(matches!(second, Err(RehearsalError::Kept { .. })), "two supervisors in one directory");
    assert!(!power(&again, "sn1", Power::Off).await);
    assert!(tokio::net::TcpStream::connect(again.address("sn1").unwrap()).await.is_err());
    let unreachable = Control::in_root(again.management_root());
    let error = blocking(move || unreachable.run("sn1", "true", b"").unwrap_err()).await;
    assert_eq!(error.to_string(), "No route to host");

    again.inject(&[Fault::NodeNeverBoots]).unwrap();
    let boot_file = again.management_root().join("tftpboot/xcat/xnba/nodes");
    fs::copy(boot_file.join("sn1"), boot_file.join("sn2")).unwrap();
    assert!(power(&again, "sn2", Power::On).await);
    while !console_end(&again, "sn2").contains("panic") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    again.inject(&[Fault::NodeBootsOldImage]).unwrap();
    power(&again, "sn2", Power::Reset).await;
    wait_until_up(&again, "sn2").await;
    assert_ne!(ssh_in(&again, "sn2", "sed -n 's/IMAGEUUID=//p' /opt/xcat/xcatinfo").await, "'22'\n");
    again.shutdown().await.unwrap();
    assert!(dir.exists());
}

async fn ssh_in(cluster: &Cluster, host: &str, command: &str) -> String {
    tokio::task::block_in_place(|| ssh(cluster, host, command))
}

fn console_end(cluster: &Cluster, host: &str) -> String {
    let log = fs::read_to_string(cluster.management_root().join("var/log/consoles").join(host));
    log.unwrap_or_default().lines().last().unwrap_or_default().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boots_an_image_by_namespaces() {
    boots_an_image(RootMode::Namespaces).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boots_an_image_by_chroot() {
    boots_an_image(RootMode::Chroot).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_on_the_management_node_reach_other_hosts_by_namespaces() {
    let Some(cluster) = cluster(ClusterOptions { site: Site::Seed, ..options(RootMode::Namespaces) }).await
    else {
        return;
    };
    assert_eq!(cluster.run("mn1", "uname -m; cat", b"in\n").await.unwrap().stdout, b"ppc64\nin\n");
    let control = Control::in_root(cluster.management_root());
    let (output, unknown) = blocking(move || {
        (
            control.run("mn1", "cat; exit 3", b"\xff\x00").unwrap(),
            control.run("nosuch", "true", b"").unwrap_err(),
        )
    })
    .await;
    assert_eq!((output.exit, &output.stdout[..]), (Exit::Code(3), &b"\xff\x00"[..]));
    assert_eq!(unknown.to_string(), "Could not resolve hostname nosuch: Name or service not known");
    cluster.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_cut_once_when_genimage_has_begun_by_namespaces() {
    if !have("ssh") {
        return;
    }
    let faults = vec![Fault::ConnectionCutDuringGenimage];
    let Some(cluster) = cluster(ClusterOptions { faults, ..options(RootMode::Namespaces) }).await else {
        return;
    };
    let script = "echo before; echo 'sh -c /tmp/genimage.1'; sleep 5; echo after";
    let output = tokio::task::block_in_place(|| ssh_input(&cluster, "mn1", script, b""));
    assert_eq!(output.status.code(), Some(255));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "before\nsh -c /tmp/genimage.1\n");
    assert_eq!(ssh_in(&cluster, "mn1", "echo 'sh -c /tmp/genimage.1'").await, "sh -c /tmp/genimage.1\n");
    cluster.shutdown().await.unwrap();
}

const SUPERVISE: &str = "XPLAY_TEST_SUPERVISE";

/// Not a test of its own: the supervisor that `nothing_survives_a_killed_supervisor` kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn supervisor_to_be_killed() {
    let Ok(mode) = std::env::var(SUPERVISE) else { return };
    let mode = if mode == "chroot" { RootMode::Chroot } else { RootMode::Namespaces };
    match cluster(options(mode)).await {
        Some(cluster) => {
            let script = "(setsid sleep 86398 &) >/dev/null 2>&1 </dev/null; sleep 86398 >/dev/null 2>&1 &";
            cluster.run("mn1", script, b"").await.unwrap();
            println!("ready");
            std::future::pending::<()>().await;
        }
        None => println!("impossible"),
    }
}

#[test]
fn nothing_survives_a_killed_supervisor() {
    use std::io::{BufRead, BufReader};
    for mode in ["namespaces", "chroot"] {
        let dir = tempfile::tempdir().unwrap();
        let mut supervisor = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "rehearsal::supervisor_to_be_killed"])
            .env(SUPERVISE, mode)
            .env("TMPDIR", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(supervisor.stdout.take().unwrap()).lines();
        let said =
            lines.map_while(Result::ok).find(|line| line.contains("ready") || line.contains("impossible"));
        if said.is_some_and(|line| line.contains("ready")) {
            while processes("sleep\u{0}86398").len() != 2 {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        supervisor.kill().unwrap();
        supervisor.wait().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while !processes("sleep\u{0}86398").is_empty() {
            assert!(Instant::now() < deadline, "{mode}: processes left behind");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_hosts_run_local_commands() {
    if !have("ssh") {
        return;
    }
    let hosts = start_plain(20).await.unwrap();
    assert!(fs::read_to_string(hosts.inventory_path()).unwrap().contains("[plain]\nhost0001 ansible_host="));
    let known = hosts.known_hosts_path();
    let last = hosts.hosts().last().unwrap().clone();
    let output = blocking(move || {
        ssh_command(&last, &known).arg("printf %s \"$((6 * 7))\"; exit 4").output().unwrap()
    })
    .await;
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(4), &b"42"[..]), "{output:?}");
}

/// More hosts than a process may have connections: those beyond them log in again for each task.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_take_turns_when_there_are_more_than_connections() {
    let hosts = start_plain(300).await.unwrap();
    let ports: std::collections::HashSet<u16> = hosts.hosts().iter().map(|h| h.address.port()).collect();
    assert!(ports.len() < 300, "{}", ports.len());
    let dir = tempfile::tempdir().unwrap();
    let site = dir.path().join("site.yml");
    let tasks = "    - command: echo {{ inventory_hostname }}\n      register: said\n    - assert: {that: said.stdout == inventory_hostname}\n    - stat: {path: /}\n";
    fs::write(&site, format!("- hosts: host000*:host0300\n  gather_facts: false\n  tasks:\n{tasks}"))
        .unwrap();
    let inventory = hosts.inventory_path();
    let home = dir.path().to_path_buf();
    let output = blocking(move || {
        Command::new(env!("CARGO_BIN_EXE_xplay"))
            .args(["run", "--no-report", "-f", "2", "-i"])
            .args([&inventory, &site])
            .env("HOME", &home)
            .env("XPLAY_OPEN_CONNECTIONS", "3")
            .output()
            .unwrap()
    })
    .await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.matches("failed=0").count(), 10, "{said}");
}
