//! What the package manager and dracut print while genimage builds.

use crate::rehearsal::xcat::packages::{Repository, Transaction};

/// Returns the lines about reading repositories.
pub(super) fn downloads(repositories: &[Repository]) -> String {
    repositories
        .iter()
        .map(|one| format!("{:<47} 2.9 MB/s | {} kB     00:00    \n", one.name, one.size / 1024 + 1))
        .collect()
}

/// Returns the lines about a repository without metadata.
pub(super) fn bad_repository(name: &str, dir: &str, reason: &str) -> String {
    format!(
        "{name:<47} 0.0  B/s |   0  B     00:00    \nErrors during downloading metadata for repository '{name}':\n  - \
         Curl error (37): Couldn't read a file:// file for file://{dir}/repodata/repomd.xml [Couldn't open file \
         {dir}/repodata/repomd.xml]\nError: Failed to download metadata for repo '{name}': {reason}\n"
    )
}

const RULE: &str = "================================================================================\n";

/// Returns the table of what will be installed.
pub(super) fn table(transaction: &Transaction<'_>) -> String {
    let mut out = String::from("Dependencies resolved.\n");
    if transaction.steps.is_empty() {
        out.push_str("Nothing to do.\nComplete!\n");
        return out;
    }
    out.push_str(RULE);
    out.push_str(" Package                  Arch   Version                Repository         Size\n");
    out.push_str(RULE);
    for (title, asked) in [("Installing:\n", true), ("Installing dependencies:\n", false)] {
        let mut part: Vec<_> = transaction
            .steps
            .iter()
            .filter(|(package, _)| transaction.asked.contains(&package.name) == asked)
            .collect();
        part.sort_by(|a, b| a.0.name.cmp(&b.0.name));
        if !part.is_empty() {
            out.push_str(title);
        }
        for (package, repository) in part {
            let bytes: usize = package.files.iter().map(|file| file.content.len()).sum();
            let size = format!("{:.1} k", bytes as f64 / 1024.0 + 5.0);
            out.extend([format!(
                " {:<24} {:<6} {:<22} {repository:<17} {size:>5}\n",
                package.name,
                package.arch,
                package.display_version()
            )]);
        }
    }
    out.push_str("Transaction Summary\n");
    out.push_str(RULE);
    out.extend([format!("Install  {} Packages\n", transaction.steps.len())]);
    out.push_str("Downloading Packages:\nRunning transaction check\nTransaction check succeeded.\n");
    out.push_str("Running transaction test\nTransaction test succeeded.\nRunning transaction\n");
    out.push_str("  Preparing        :                                                        1/1 \n");
    out
}

/// Returns one line of a running transaction.
pub(super) fn step(verb: &str, name: &str, at: usize, total: usize) -> String {
    let place = format!("{at}/{total} ");
    let width = 80usize.saturating_sub(21 + place.len());
    format!("  {verb:<17}: {name:<width$}{place}\n")
}

/// Returns the end of a transaction.
pub(super) fn finished(transaction: &Transaction<'_>) -> String {
    let mut names: Vec<String> =
        transaction.steps.iter().map(|(package, _)| package.display_name()).collect();
    names.sort();
    let total = names.len();
    let mut out: String =
        names.iter().enumerate().map(|(at, name)| step("Verifying", name, at + 1, total)).collect();
    out.push_str("Installed:\n");
    out.extend(names.iter().map(|name| format!("  {name:<78}\n")));
    out.push_str("Complete!\n");
    out
}

/// Returns the lines before the initrds are made.
pub(super) const DRIVERS: &str = "Added net_failover.ko as an autodetected dependency\n\
    Added failover.ko as an autodetected dependency\n\
    Added virtio_ring.ko as an autodetected dependency\n\
    Added virtio.ko as an autodetected dependency\n\
    Added mlx4_core.ko as an autodetected dependency\n\
    Enter the dracut mode. Dracut version: 057. Dracut directory: dracut_047.\n";

/// Returns dracut's first and second half for one kind of initrd.
pub(super) fn dracut(rootimg: &str, temporary: &str, kernel: &str) -> (String, String) {
    let first = format!(
        "Try to load drivers: failover mlx4_core virtio virtio_ring net_failover tg3 bnx2 bnx2x e1000 e1000e igb \
         mlx4_en virtio_net be2net ext3 ext4 to initrd.\nchroot {rootimg} dracut  -N --compress \"/usr/bin/pigz -p 2 \" \
         -f {temporary} {kernel}\ndracut: Executing: /usr/bin/dracut -N --compress \"/usr/bin/pigz -p 2 \" -f \
         {temporary} {kernel}\n"
    );
    let modules = ["systemd", "network", "kernel-modules", "nfs", "udev-rules", "syslog", "xcat", "base"];
    let mut second: String =
        modules.iter().map(|one| format!("dracut: *** Including module: {one} ***\n")).collect();
    second.push_str("dracut-install: ERROR: installing 'curl'\n");
    second.push_str("dracut: *** Including modules done ***\n");
    second.push_str("dracut: *** Installing kernel module dependencies ***\n");
    second.push_str("dracut: *** Installing kernel module dependencies done ***\n");
    second.extend([format!(
        "dracut: *** Creating image file '{temporary}' ***\ndracut: *** Creating initramfs image file '{temporary}' \
         done ***\n"
    )]);
    (first, second)
}
