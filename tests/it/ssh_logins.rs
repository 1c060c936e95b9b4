//! Ways of logging in at a real sshd that need an account of their own: password and keyboard-interactive, as they are typed
//! for `-k` and `-K`; and RSA keys of servers that know only SHA-1.

use std::fs;
use std::process::Command;

use xplay::transport::{ConnectionSpec, Connector};

use crate::canaries::typed_in;
use crate::ssh_environments::{Site, executable};
use crate::support::sshd::Sshd;
use crate::support::{can_mount, find_program, skip};
use crate::transport::{refusal, with_args};

const PASSWORD: &str = "sesame street";
/// The same as it stands in /etc/shadow.
const HASH: &str =
    "$6$xplaytest$bynrvYEIuGbK4Z2DPOZHSuvYga6RyJ.gh/GWIPymUWT5yfQ/37suay5uEh/BVIw6qTOHLU4ElkoiO.dbekVjr1";
const USER: &str = "xplaykeyed";
const UID: u32 = 64_321;

/// Mounts accounts of the test over those of the machine, for one server.
const MOUNTS: &str = "mount --bind $D/passwd /etc/passwd && mount --bind $D/shadow /etc/shadow && \
                      { [ ! -e /etc/pam.d/sshd ] || mount --bind $D/pam /etc/pam.d/sshd; } && exec \"$@\"";

/// Starts a server with an account that has a password.
fn keyed(test: &str, dir: &std::path::Path, config: &str) -> Option<Sshd> {
    if !rustix::process::getuid().is_root() || !can_mount(test) || find_program("setsid").is_none() {
        skip(test, "an account of its own takes root, mounts and setsid");
        return None;
    }
    let with = |file: &str, line: String| fs::read_to_string(file).unwrap_or_default() + &line;
    fs::write(dir.join("passwd"), with("/etc/passwd", format!("{USER}:x:{UID}:{UID}::/tmp:/bin/sh\n")))
        .unwrap();
    fs::write(dir.join("shadow"), with("/etc/shadow", format!("{USER}:{HASH}:19000:0:99999:7:::\n")))
        .unwrap();
    let pam = "auth required pam_unix.so\naccount required pam_permit.so\nsession required pam_permit.so\n";
    fs::write(dir.join("pam"), pam).unwrap();
    let mounts = MOUNTS.replace("$D", &dir.display().to_string());
    Sshd::start_by(test, config, &["unshare", "--mount", "sh", "-c", &mounts, "sh"])
}

#[test]
fn passwords_are_typed_once_and_tried_on_one_host_first() {
    let test = "passwords_are_typed_once_and_tried_on_one_host_first";
    let ways = [
        ("PasswordAuthentication yes\nPubkeyAuthentication no\n", "password", "Failed password for"),
        (
            "KbdInteractiveAuthentication yes\nUsePAM yes\nPubkeyAuthentication no\n",
            "keyboard-interactive",
            "PAM: Authentication failure for",
        ),
    ];
    for (config, way, refused) in ways {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        // The account is another one, and looks for the program.
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
        if way != "password" && !std::path::Path::new("/etc/pam.d/sshd").exists() {
            skip(test, "this sshd has no PAM, which keyboard-interactive takes");
            continue;
        }
        let Some(server) = keyed(test, dir, config) else { return };
        let sudo = format!(
            "#!/bin/sh\nwhile :; do case $1 in -p) p=$2; shift 2;; -u) shift 2;; --) shift; break;; *) shift;; esac; done\n\
             printf %s \"$p\" >&2; IFS= read -r word; [ \"$word\" = '{PASSWORD}' ] || exit 1; exec \"$@\"\n"
        );
        executable(&dir.join("sudo"), &sudo);
        let hosts: String = (1..=3)
            .map(|n| {
                format!(
                    "n{n} ansible_host=127.0.0.1 ansible_port={} ansible_user={USER} ansible_become_exe={} \
                     ansible_ssh_common_args='-F none -o UserKnownHostsFile={}'\n",
                    server.port,
                    dir.join("sudo").display(),
                    server.spec().known_hosts[0].display()
                )
            })
            .collect();
        let tasks = "    - command: id -un\n    - command: echo became\n      become: true\n      become_user: operator\n";
        let site = Site::new(&hosts, tasks);
        let run = ["run", "site.yml", "-i", "hosts", "-v", "-k", "-K"];
        // The second one is the same when nothing is typed.
        let output = typed_in(&site, &run, &format!("{PASSWORD}\n\n"));
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let log = fs::read_to_string(server.path("log")).unwrap();
        assert_eq!(output.status.code(), Some(0), "{way}: {said}\n{log}");
        assert_eq!(said.matches(&format!("\"stdout\": \"{USER}\"")).count(), 3, "{way}: {said}");
        assert_eq!(said.matches("\"stdout\": \"became\"").count(), 3, "{way}: {said}");
        assert_eq!(log.matches(&format!("Accepted {way}")).count(), 3, "{way}: {log}");
        assert!(!said.contains(PASSWORD), "{way}: {said}");

        let output = typed_in(&site, &run, "another one\n\n");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let log = fs::read_to_string(server.path("log")).unwrap();
        assert_eq!(output.status.code(), Some(4), "{way}: {said}");
        assert_eq!(log.matches(refused).count(), 1, "one account, one try: {log}\n{said}");
        assert_eq!(said.matches("so it is not tried here").count(), 2, "{way}: {said}");
    }
}

/// Servers of EL6 show RSA keys with SHA-1 only. (Newer ones always say that they take better signatures of ours, so
/// those of users cannot be tried here.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_keys_with_sha1_are_taken_on_request() {
    let test = "host_keys_with_sha1_are_taken_on_request";
    let folder = tempfile::tempdir().unwrap();
    let host = folder.path().join("host").display().to_string();
    if find_program("ssh-keygen").is_none() {
        return skip(test, "there is no ssh-keygen");
    }
    let words = ["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", &host];
    assert!(Command::new("ssh-keygen").args(words).status().unwrap().success());
    let public = fs::read_to_string(host.clone() + ".pub").unwrap();
    let public = public.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let config = format!("HostKey {host}\nHostKeyAlgorithms ssh-rsa\n");
    let Some(server) = Sshd::start_with(test, &config) else { return };
    let known = folder.path().join("known");
    fs::write(&known, format!("[127.0.0.1]:{} {public}\n", server.port)).unwrap();
    let spec = ConnectionSpec { known_hosts: vec![known], ..with_args(server.spec(), &["-F", "none"]) };
    let modern = refusal(&server, &spec).await.to_string();
    assert!(modern.contains("the server offers ssh-rsa"), "{modern}");
    assert!(
        modern.contains("xplay_legacy_ssh: true") && modern.contains("HostKeyAlgorithms +ssh-rsa"),
        "{modern}"
    );
    let legacy = ConnectionSpec { legacy: true, ..spec.clone() };
    server.connector("").connect(&legacy).await.unwrap().close().await;
    let named = with_args(spec, &["-F", "none", "-o", "HostKeyAlgorithms=+ssh-rsa"]);
    server.connector("").connect(&named).await.unwrap().close().await;
}
