//! The boot files that nodeset writes, one form per loader.

use crate::rehearsal::xcat::boot::boot_files;
use crate::rehearsal::xcat::image::Image;
use crate::rehearsal::xcat::session::Session;
use std::fs;
use std::io;

/// Is what a boot file makes a node do.
pub(super) enum Boot<'b> {
    /// Go on to the local disk.
    Disk,
    /// Load an image or an installer.
    Load { image: &'b Image, kcmdline: String },
}

/// Returns the kernel's arguments for a diskless image.
pub(super) fn netboot_kcmdline(image: &Image, packed: &str, server: &str, node: &str) -> String {
    let mut out = format!(
        "imgurl=http://{server}:80/{packed} XCAT={server}:3001 NODE={node} FC=0 XCATHTTPPORT=80  selinux=0  ",
        packed = format_args!("/{}", packed.trim_start_matches('/')),
    );
    let own: Vec<&str> =
        image.addkcmdline.split_whitespace().filter(|word| !word.starts_with("R::")).collect();
    if !own.is_empty() {
        out.push(' ');
        out.push_str(&own.join(" "));
    }
    out
}

/// Returns the installer's arguments.
pub(super) fn install_kcmdline(image: &Image, server: &str, node: &str) -> String {
    format!(
        "inst.repo=http://{server}:80{} inst.ks=http://{server}:80/install/autoinst/{node} ip=dhcp   {}",
        image.pkgdir, image.addkcmdline
    )
}

/// Writes the boot files of a node.
pub(super) fn write(
    session: &Session<'_>,
    loader: &str,
    node: &str,
    server: &str,
    boot: &Boot<'_>,
) -> io::Result<()> {
    for (index, path) in boot_files(loader, node).iter().enumerate() {
        let file = session.path(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(file, content(loader, server, boot, index > 0))?;
    }
    Ok(())
}

/// Puts the boot files of a node on the service node that has its own tftp directory, as its daemon would write
/// them there.
pub(super) fn send(session: &Session<'_>, server: &str, loader: &str, node: &str) -> Result<(), String> {
    for path in boot_files(loader, node) {
        let failed = |reason: &str| format!("Unable to write {path} on {server}: {reason}");
        let content = fs::read(session.path(&path)).map_err(|error| failed(&error.to_string()))?;
        let dir = path.rsplit_once('/').map_or("/", |(dir, _)| dir);
        let script = format!("mkdir -p {dir} && cat >{path}");
        match session.world.nodes.run(server, &script, &content) {
            Ok(output) if output.rc == 0 => {}
            Ok(output) => return Err(failed(String::from_utf8_lossy(&output.stderr).trim())),
            Err(unreachable) => return Err(failed(&unreachable.0)),
        }
    }
    Ok(())
}

/// Removes the boot files of a node.
pub(super) fn remove(session: &Session<'_>, loader: &str, node: &str) -> io::Result<()> {
    for path in boot_files(loader, node) {
        match fs::remove_file(session.path(&path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn content(loader: &str, server: &str, boot: &Boot<'_>, uefi: bool) -> String {
    let Boot::Load { image, kcmdline } = boot else {
        return match loader {
            "yaboot" => "#boot\ntimeout=5\ndefault=bye\n".into(),
            "petitboot" => "#boot\n".into(),
            loader if loader.starts_with("grub2") => "#boot\nexit\n".into(),
            _ => "#!gpxe\n#boot\nexit\n".into(),
        };
    };
    let state = image.state();
    let dir = format!("xcat/osimage/{}", image.name);
    let (kernel, initrd) =
        if image.is_diskless() { ("kernel", "initrd-stateless.gz") } else { ("vmlinuz", "initrd.img") };
    match loader {
        "yaboot" => format!(
            "#{state}\ntimeout=5\nimage=/{dir}/{kernel}\n\tlabel=xcat\n\tinitrd=/{dir}/{initrd}\n\t\
             append=\"{}\"\n",
            kcmdline.trim_end()
        ),
        "petitboot" => format!(
            "#{state}\ndefault xCAT\nlabel xCAT\n\tkernel http://{server}:80/tftpboot/{dir}/{kernel}\n\tinitrd \
             http://{server}:80/tftpboot/{dir}/{initrd}\n\tappend \"{}\"\n",
            kcmdline.trim_end()
        ),
        loader if loader.starts_with("grub2") => format!(
            "#{state}\nset timeout=5\nset default=\"xCAT OS Deployment\"\nmenuentry \"xCAT OS Deployment\" {{\n    \
             insmod http\n    insmod tftp\n    set root=http,{server}:80\n    linux /tftpboot/{dir}/{kernel} {}\n    \
             initrd /tftpboot/{dir}/{initrd}\n}}\n",
            kcmdline.trim_end()
        ),
        _ => {
            let mark = if uefi { String::new() } else { format!("#{state}\n") };
            let end = if uefi { " initrd=initrd" } else { "" };
            format!(
                "#!gpxe\n{mark}imgfetch -n kernel http://${{next-server}}/tftpboot/{dir}/{kernel}\nimgload \
                 kernel\nimgargs kernel {kcmdline}  BOOTIF=01-${{netX/mac:hexhyp}}{end}\nimgfetch -n initrd \
                 http://${{next-server}}/tftpboot/{dir}/{initrd}\nimgexec kernel\n"
            )
        }
    }
}
