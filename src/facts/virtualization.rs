//! Whether it is a virtual machine or a container, and of which kind.

use super::Sections;
use crate::value::Map;

pub fn add(sections: &Sections, facts: &mut Map) {
    let (kind, role) = detect(sections);
    facts.insert("ansible_virtualization_type", kind);
    facts.insert("ansible_virtualization_role", role);
    let init = sections.field("virt", "init").unwrap_or_default();
    let has = |path: &str| sections.lines("virt").iter().any(|l| l.strip_prefix("has ") == Some(path));
    let kvm = has("/dev/kvm") || sections.lines("modules").iter().any(|m| m == "kvm");
    let tech = |wanted: &str, others: [Option<&str>; 2]| {
        let own = (role == wanted && kind != "NA").then_some(kind);
        let mut found: Vec<String> =
            own.into_iter().chain(others.into_iter().flatten()).map(str::to_string).collect();
        found.sort();
        found.dedup();
        found
    };
    let nspawn = sections.field("virt", "systemd");
    let is_container =
        matches!(kind, "docker" | "lxc" | "podman" | "openvz" | "containerd") && role == "guest";
    let container =
        (init.starts_with("container=") || nspawn.is_some() || is_container).then_some("container");
    facts.insert("ansible_virtualization_tech_guest", tech("guest", [container, nspawn]));
    facts.insert("ansible_virtualization_tech_host", tech("host", [kvm.then_some("kvm"), None]));
}

fn detect(sections: &Sections) -> (&'static str, &'static str) {
    let has = |path: &str| sections.lines("virt").iter().any(|l| l.strip_prefix("has ") == Some(path));
    let cgroup = sections.lines("cgroup").join("\n");
    let init = sections.field("virt", "init").unwrap_or_default();
    if has("/.dockerenv") || has("/.dockerinit") || cgroup.contains("/docker") {
        return ("docker", "guest");
    }
    if has("/run/.containerenv") || cgroup.contains("/libpod") || init == "container=podman" {
        return ("podman", "guest");
    }
    if init == "container=lxc" || cgroup.contains("/lxc/") {
        return ("lxc", "guest");
    }
    if init == "container=systemd-nspawn" {
        return ("systemd-nspawn", "guest");
    }
    if init.starts_with("container=") {
        return ("container", "guest");
    }
    if has("/proc/vz") {
        return ("openvz", if has("/proc/bc") { "host" } else { "guest" });
    }
    if has("/proc/xen") || sections.field("virt", "type") == Some("xen") {
        return ("xen", if has("/proc/xen/capabilities") { "host" } else { "guest" });
    }
    let dmi = |name: &str| sections.field("dmi", name).unwrap_or_default().to_string();
    let (product, vendor, family, bios) =
        (dmi("product_name"), dmi("sys_vendor"), dmi("product_family"), dmi("bios_vendor"));
    let guest = if product == "OpenStack Nova" || product == "OpenStack Compute" {
        Some("openstack")
    } else if product == "KVM"
        || product == "KVM Server"
        || product == "Bochs"
        || family == "Virtual Machine" && vendor == "KVM"
    {
        Some("kvm")
    } else if product == "RHEV Hypervisor" || family == "RHV" {
        Some("RHEV")
    } else if product == "oVirt Node" || vendor == "oVirt" {
        Some("oVirt")
    } else if product.contains("VMware") || vendor == "VMware, Inc." {
        Some("VMware")
    } else if product == "VirtualBox" || bios == "innotek GmbH" {
        Some("virtualbox")
    } else if bios == "Xen" || product.starts_with("HVM dom") {
        Some("xen")
    } else if vendor == "Microsoft Corporation" && product == "Virtual Machine" {
        Some("VirtualPC")
    } else if vendor == "Parallels Software International Inc." {
        Some("parallels")
    } else if ["QEMU", "Amazon EC2", "DigitalOcean", "Google", "Hetzner", "Scaleway", "Linode", "Nutanix"]
        .contains(&vendor.as_str())
    {
        Some("kvm")
    } else {
        None
    };
    if let Some(kind) = guest {
        return (kind, "guest");
    }
    let cpu = sections.lines("virtcpu").join("\n");
    if cpu.contains("QEMU Virtual CPU")
        || cpu.contains("pSeries (emulated by qemu)")
        || cpu.contains("User Mode Linux")
    {
        return (if cpu.contains("User Mode") { "uml" } else { "kvm" }, "guest");
    }
    if cpu.contains("IBM/S390") {
        return ("systemz", "LPAR");
    }
    if cpu.contains("PowerVM Lx86") {
        return ("powervm_lx86", "guest");
    }
    if cpu.contains("hypervisor") {
        return ("kvm", "guest");
    }
    let loaded = |name: &str| sections.lines("modules").iter().any(|m| m == name);
    if loaded("kvm") || has("/dev/kvm") {
        return ("kvm", "host");
    }
    if loaded("vboxdrv") || has("/dev/vboxdrv") {
        return ("virtualbox", "host");
    }
    ("NA", "NA")
}
