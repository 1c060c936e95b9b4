//! What the supervisor of a rehearsal needs to boot nodes: boot targets, status reports, files of a booted node.

use super::archive::resolve_inside;
use super::objects::node_attribute;
use super::session::table_time;
use super::tables::{Access, Db};
use super::world::{Clock, SystemClock, below};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Is what a node's boot file makes it load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootTarget {
    pub node: String,
    /// The osimage's name.
    pub image: String,
    /// The packed image, below the management node's root.
    pub archive: PathBuf,
    /// The kernel, below the management node's root.
    pub kernel: PathBuf,
    pub kcmdline: String,
}

/// Is a file that booting adds to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFile {
    pub path: String,
    pub mode: u32,
    pub content: Vec<u8>,
    /// The content goes behind what the image has there.
    pub append: bool,
}

/// Returns the paths of a node's boot files, the loader's first.
pub(super) fn boot_files(loader: &str, node: &str) -> Vec<String> {
    match loader {
        "yaboot" => vec![format!("/tftpboot/etc/{node}")],
        "petitboot" => vec![format!("/tftpboot/petitboot/{node}")],
        loader if loader.starts_with("grub2") => vec![format!("/tftpboot/boot/grub2/{node}")],
        _ => vec![
            format!("/tftpboot/xcat/xnba/nodes/{node}"),
            format!("/tftpboot/xcat/xnba/nodes/{node}.uefi"),
        ],
    }
}

/// Reads a node's boot file as its firmware would; nothing when the node is not to boot from the network.
pub fn boot_target(root: &Path, node: &str) -> io::Result<Option<BootTarget>> {
    let mut db = Db::open(root, Access::Read)?;
    let loader = node_attribute(&mut db, node, "netboot").unwrap_or_default();
    drop(db);
    let Some(file) = boot_files(&loader, node).into_iter().next() else { return Ok(None) };
    let text = match fs::read_to_string(below(root, Path::new(&file))) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(at) = text.find("imgurl=") else { return Ok(None) };
    let kcmdline = text[at..].lines().next().unwrap_or_default().trim_end_matches('"').to_string();
    let url = kcmdline.split_whitespace().next().unwrap_or_default().trim_start_matches("imgurl=");
    let path = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = path.split_once('/').map_or("", |(_, path)| path);
    let image =
        text.split_once("xcat/osimage/").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    Ok(Some(BootTarget {
        node: node.to_string(),
        image: image.to_string(),
        archive: below(root, Path::new(path)),
        kernel: below(root, Path::new(&format!("/tftpboot/xcat/osimage/{image}/kernel"))),
        kcmdline,
    }))
}

/// Takes a node's report (`installstatus WORD` on port 3002) and says whether it was written. Unknown words and
/// nodes are ignored; while the daemon is down, reports are lost.
pub fn report_status(root: &Path, node: &str, word: &str) -> io::Result<bool> {
    const KNOWN: [&str; 6] = ["netbooting", "installing", "booting", "postbooting", "booted", "failed"];
    let faults = fs::read_to_string(below(root, Path::new("/etc/xcat/rehearsal/faults"))).unwrap_or_default();
    let down = below(root, Path::new("/etc/xcat/rehearsal/xcatd-down")).exists()
        || faults.lines().any(|line| line.trim() == "xcatd-down");
    if !KNOWN.contains(&word) || down {
        return Ok(false);
    }
    let mut db = Db::open(root, Access::Write)?;
    if db.table("nodelist").row("node", node).is_none() {
        return Ok(false);
    }
    let time = table_time(&SystemClock.now());
    db.set("nodelist", "node", node, &[("status", word), ("statustime", &time)]);
    db.save()?;
    Ok(true)
}

/// Returns the files that the initrd and the postscripts add to a booted node: its identity, the names of the
/// cluster and, on a service node, the database as it is now.
pub fn node_files(root: &Path, node: &str) -> io::Result<Vec<NodeFile>> {
    let mut db = Db::open(root, Access::Read)?;
    let server = node_attribute(&mut db, node, "xcatmaster")
        .or_else(|| db.site("master"))
        .unwrap_or_else(|| "10.20.0.1".into());
    let groups = node_attribute(&mut db, node, "servicenode").map(|sn| format!("SERVICEGROUP={sn}\n"));
    let info = format!(
        "USEFLOWCONTROL=NO\nNODE={node}\nXCATSERVER={server}\nHTTPPORT=80\n{}",
        groups.unwrap_or_default()
    );
    let is_service_node = db.table("servicenode").row("node", node).is_some();
    let mut files = vec![NodeFile {
        path: "/opt/xcat/xcatinfo".into(),
        mode: 0o644,
        content: info.into_bytes(),
        append: true,
    }];
    if let Ok(hosts) = fs::read(below(root, Path::new("/etc/hosts"))) {
        files.push(NodeFile { path: "/etc/hosts".into(), mode: 0o644, content: hosts, append: false });
    }
    if is_service_node {
        let cfgloc = format!("mysql:dbname=xcatdb;host={server}|xcatadmin|cluster\n");
        files.push(NodeFile {
            path: "/etc/xcat/cfgloc".into(),
            mode: 0o600,
            content: cfgloc.into_bytes(),
            append: false,
        });
        for entry in fs::read_dir(below(root, Path::new("/etc/xcat/tables")))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".csv") && !name.starts_with('.') {
                files.push(NodeFile {
                    path: format!("/etc/xcat/tables/{name}"),
                    mode: 0o600,
                    content: fs::read(entry.path())?,
                    append: false,
                });
            }
        }
    }
    Ok(files)
}

/// Marks every service that the tree starts at boot as running, as init or systemd would. Call it when the node's
/// `/run` is in place.
pub fn start_services(node_root: &Path) -> io::Result<Vec<String>> {
    let mut started = Vec::new();
    let running = resolve_inside(node_root, Path::new("/run/xplay-rehearsal/active"));
    let locks = resolve_inside(node_root, Path::new("/var/lock/subsys/x"));
    let units = resolve_inside(node_root, Path::new("/etc/systemd/system/multi-user.target.wants/x"));
    for name in names_in(units.parent()) {
        if name.ends_with(".service") {
            fs::create_dir_all(&running)?;
            fs::write(running.join(&name), "")?;
            started.push(name);
        }
    }
    let links = resolve_inside(node_root, Path::new("/etc/rc.d/rc3.d/x"));
    for name in names_in(links.parent()) {
        let bare = name.strip_prefix('S').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
        if let (Some(bare), Some(dir)) = (bare.filter(|bare| !bare.is_empty()), locks.parent()) {
            fs::create_dir_all(dir)?;
            fs::write(dir.join(bare), "")?;
            started.push(bare.to_string());
        }
    }
    Ok(started)
}

fn names_in(dir: Option<&Path>) -> Vec<String> {
    let Some(Ok(entries)) = dir.map(fs::read_dir) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
