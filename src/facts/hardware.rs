//! Processors, memory, disks, mounts, and what the firmware tells.

use indexmap::IndexMap;

use super::Sections;
use super::extras::device_links;
use super::sections::field;
use crate::value::{Map, Value};

pub fn add(sections: &Sections, facts: &mut Map) {
    processors(sections, facts);
    memory(sections, facts);
    firmware(sections, facts);
    devices(sections, facts);
    mounts(sections, facts);
}

fn processors(sections: &Sections, facts: &mut Map) {
    let machine = sections.lines("uname").get(3).map(String::as_str).unwrap_or_default();
    let mut list: Vec<String> = Vec::new();
    // Sockets with their cores, cores with their threads, in the order of first sight.
    let mut sockets: IndexMap<String, i64> = IndexMap::new();
    let mut cores: IndexMap<String, i64> = IndexMap::new();
    let (mut socket, mut core) = (String::from("0"), String::from("0"));
    let (mut vendors, mut models, mut count, mut all) = (0, 0, 0, 0);
    let put = |list: &mut IndexMap<String, i64>, key: &str, value: Option<i64>| {
        let entry = list.entry(key.to_string()).or_insert(1);
        *entry = value.unwrap_or(*entry);
    };
    for line in sections.lines("cpuinfo") {
        let Some((key, value)) = line.split_once(':') else { continue };
        let (key, value) = (key.trim(), value.trim());
        match key {
            "model name" | "Model" | "vendor_id" | "cpu" | "Vendor" | "processor" => {
                list.push(value.to_string());
                vendors += i64::from(key == "vendor_id");
                models += i64::from(key == "model name");
                count += i64::from(key == "processor");
                all += 1;
            }
            "physical id" => {
                socket = value.to_string();
                put(&mut sockets, &socket, None);
            }
            "core id" => {
                core = value.to_string();
                put(&mut cores, &core, None);
            }
            "cpu cores" => put(&mut sockets, &socket, value.parse().ok()),
            "siblings" => put(&mut cores, &core, value.parse().ok()),
            "# processors" => all = value.parse().unwrap_or(all),
            _ => {}
        }
    }
    if vendors > 0 && vendors == models {
        all = vendors;
    }
    if machine.starts_with("arm") || machine.starts_with("aarch") || machine.starts_with("ppc") {
        all = count;
    }
    let nproc = sections.line("nproc").and_then(|n| n.parse::<i64>().ok());
    let processor_count = if sockets.is_empty() { all } else { sockets.len() as i64 };
    let per_socket = sockets.first().map_or(1, |(_, cores)| *cores).max(1);
    let threads = cores.first().map_or(1, |(_, threads)| *threads / per_socket).max(1);
    facts.insert("ansible_processor", list);
    facts.insert("ansible_processor_count", processor_count);
    facts.insert("ansible_processor_cores", per_socket);
    facts.insert("ansible_processor_threads_per_core", threads);
    facts.insert(
        "ansible_processor_vcpus",
        threads.saturating_mul(processor_count).saturating_mul(per_socket),
    );
    facts.insert("ansible_processor_nproc", nproc.unwrap_or(count));
}

fn memory(sections: &Sections, facts: &mut Map) {
    let mb = |name: &str| -> i64 {
        sections
            .lines("meminfo")
            .iter()
            .find_map(|l| {
                l.strip_prefix(name)?.strip_prefix(':')?.split_whitespace().next()?.parse::<i64>().ok()
            })
            .unwrap_or(0)
            / 1024
    };
    if !sections.has("meminfo") {
        return;
    }
    let (total, free) = (mb("MemTotal"), mb("MemFree"));
    let (swap, swap_free) = (mb("SwapTotal"), mb("SwapFree"));
    let cached = mb("Cached") + mb("Buffers");
    facts.insert("ansible_memtotal_mb", total);
    facts.insert("ansible_memfree_mb", free);
    facts.insert("ansible_swaptotal_mb", swap);
    facts.insert("ansible_swapfree_mb", swap_free);
    let side = |pairs: &[(&str, i64)]| pairs.iter().map(|(k, v)| (*k, *v)).collect::<Map>();
    let mut map = Map::new();
    map.insert("real", side(&[("total", total), ("used", total - free), ("free", free)]));
    map.insert("nocache", side(&[("free", free + cached), ("used", total - free - cached)]));
    map.insert(
        "swap",
        side(&[
            ("total", swap),
            ("free", swap_free),
            ("used", swap - swap_free),
            ("cached", mb("SwapCached")),
        ]),
    );
    facts.insert("ansible_memory_mb", map);
}

fn firmware(sections: &Sections, facts: &mut Map) {
    const FORM_FACTORS: &[&str] = &[
        "Unknown",
        "Other",
        "Unknown",
        "Desktop",
        "Low Profile Desktop",
        "Pizza Box",
        "Mini Tower",
        "Tower",
        "Portable",
        "Laptop",
        "Notebook",
        "Hand Held",
        "Docking Station",
        "All In One",
        "Sub Notebook",
        "Space-saving",
        "Lunch Box",
        "Main Server Chassis",
        "Expansion Chassis",
        "Sub Chassis",
        "Bus Expansion Chassis",
        "Peripheral Chassis",
        "RAID Chassis",
        "Rack Mount Chassis",
        "Sealed-case PC",
        "Multi-system",
        "CompactPCI",
        "AdvancedTCA",
        "Blade",
    ];
    for name in [
        "bios_date",
        "bios_vendor",
        "bios_version",
        "board_asset_tag",
        "board_name",
        "board_serial",
        "board_vendor",
        "board_version",
        "chassis_asset_tag",
        "chassis_serial",
        "chassis_vendor",
        "chassis_version",
        "product_name",
        "product_serial",
        "product_uuid",
        "product_version",
    ] {
        facts.insert(
            format!("ansible_{name}"),
            sections.field("dmi", name).filter(|v| !v.is_empty()).unwrap_or("NA"),
        );
    }
    facts.insert("ansible_system_vendor", sections.field("dmi", "sys_vendor").unwrap_or("NA"));
    let kind = sections.field("dmi", "chassis_type").and_then(|t| t.parse::<usize>().ok());
    facts.insert(
        "ansible_form_factor",
        match kind {
            Some(kind) => FORM_FACTORS.get(kind).copied().unwrap_or("Unknown"),
            None => "NA",
        },
    );
}

fn devices(sections: &Sections, facts: &mut Map) {
    let mut devices = Map::new();
    for (name, lines) in sections.all("block") {
        let first_part = lines.iter().position(|l| l.starts_with("part ")).unwrap_or(lines.len());
        let own = &lines[..first_part];
        let sector =
            field(own, "queue/logical_block_size").and_then(|s| s.parse::<u64>().ok()).unwrap_or(512);
        let sectors = field(own, "size").and_then(|s| s.parse::<u64>().ok()).unwrap_or(0);
        if sectors == 0 {
            continue;
        }
        let mut device = Map::new();
        let text = |word: &str| Value::from(field(own, word).filter(|v| !v.is_empty()).map(str::to_string));
        device.insert("vendor", text("device/vendor"));
        device.insert("model", text("device/model"));
        device.insert("removable", field(own, "removable").unwrap_or("0"));
        device.insert("rotational", field(own, "queue/rotational").unwrap_or("0"));
        device.insert("sectors", sectors);
        device.insert("sectorsize", sector.to_string());
        // The kernel counts sectors of 512 bytes whatever the disk's own are.
        device.insert("size", readable(sectors.saturating_mul(512)));
        let mut parts = Map::new();
        let mut at = first_part;
        while at < lines.len() {
            let end = lines[at + 1..]
                .iter()
                .position(|l| l.starts_with("part "))
                .map_or(lines.len(), |i| at + 1 + i);
            let part = &lines[at + 1..end];
            let sectors = field(part, "size").and_then(|s| s.parse::<u64>().ok()).unwrap_or(0);
            let mut map = Map::new();
            map.insert("start", field(part, "start").unwrap_or("0"));
            map.insert("sectors", sectors);
            map.insert("sectorsize", sector);
            map.insert("size", readable(sectors.saturating_mul(512)));
            parts.insert(lines[at].trim_start_matches("part ").trim(), map);
            at = end;
        }
        device.insert("partitions", parts);
        if field(own, "queue/discard_granularity").is_some() {
            details(sections, name, own, &mut device);
        }
        devices.insert(name, device);
    }
    facts.insert("ansible_devices", devices);
}

/// What only newer probes tell of a device.
fn details(sections: &Sections, name: &str, own: &[String], device: &mut Map) {
    let holders: Vec<Value> = own
        .iter()
        .filter_map(|line| line.strip_prefix("holder "))
        .map(|line| match line.trim_end().split_once(' ') {
            Some((holder, mapped)) => Value::str(format!("{holder}--{mapped}")),
            None => Value::str(line.trim()),
        })
        .collect();
    let links = |section: &str| -> Vec<Value> {
        let mut names: Vec<String> =
            device_links(sections, section).into_iter().filter(|(d, _)| d == name).map(|(_, n)| n).collect();
        names.sort();
        names.into_iter().map(Value::str).collect()
    };
    let masters: Vec<Value> = sections
        .lines("masters")
        .iter()
        .filter_map(|line| line.trim().split_once(' ').filter(|(d, _)| *d == name))
        .map(|(_, master)| Value::str(master))
        .collect();
    let scheduler = field(own, "queue/scheduler").unwrap_or_default();
    let chosen =
        scheduler.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("", |(mode, _)| mode);
    let text = |word: &str| Value::from(field(own, word).filter(|v| !v.is_empty()).map(str::to_string));
    device.insert("holders", holders);
    device.insert("host", "");
    device.insert(
        "links",
        [("ids", links("ids")), ("uuids", links("uuids")), ("labels", links("labels")), ("masters", masters)]
            .into_iter()
            .collect::<Map>(),
    );
    device.insert("sas_address", text("device/sas_address"));
    device.insert("sas_device_handle", text("device/sas_device_handle"));
    device.insert("scheduler_mode", chosen);
    device.insert("support_discard", field(own, "queue/discard_granularity").unwrap_or("0"));
    device.insert("virtual", 1);
}

fn readable(bytes: u64) -> String {
    let (unit, name) = [(1u64 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")]
        .into_iter()
        .find(|(unit, _)| bytes >= *unit)
        .unwrap_or((1, "Bytes"));
    format!("{:.2} {name}", bytes as f64 / unit as f64)
}

fn mounts(sections: &Sections, facts: &mut Map) {
    let table = |name: &str| -> Vec<Vec<String>> {
        sections
            .lines(name)
            .iter()
            .skip(1)
            .map(|l| l.split_whitespace().map(str::to_string).collect::<Vec<_>>())
            .filter(|f: &Vec<String>| f.len() >= 6)
            .collect()
    };
    let (blocks, inodes) = (table("df"), table("dfi"));
    let find = |table: &[Vec<String>], mount: &str| -> Option<[u64; 3]> {
        let row = table.iter().rev().find(|f| f[5..].join(" ") == mount)?;
        Some([row[1].parse().ok()?, row[2].parse().ok()?, row[3].parse().ok()?])
    };
    let uuid = |device: &str| {
        let name = device.rsplit('/').next().unwrap_or_default();
        sections.lines("uuids").iter().find_map(|line| {
            let (left, target) = line.split_once(" -> ")?;
            (target.rsplit('/').next() == Some(name))
                .then(|| left.rsplit(' ').next().unwrap_or_default().to_string())
        })
    };
    let mut list = Vec::new();
    for line in sections.lines("mounts") {
        let fields: Vec<&str> = line.split(' ').collect();
        let [device, mount, kind, options, dump, pass] = fields.as_slice() else { continue };
        // Real file systems only, as in Ansible: a device, or a share.
        if !(device.starts_with('/') || device.contains(":/")) || *kind == "none" {
            continue;
        }
        let mount = unescape(mount);
        let mut map = Map::new();
        map.insert("mount", mount.as_str());
        map.insert("device", unescape(device));
        map.insert("fstype", *kind);
        map.insert("options", *options);
        map.insert("dump", dump.parse::<i64>().unwrap_or(0));
        map.insert("passno", pass.parse::<i64>().unwrap_or(0));
        let exact = statfs(sections, fields[1]);
        if let Some(usage) = &exact {
            map.extend(usage.facts());
        }
        if let Some([total, used, available]) = find(&blocks, &mount).filter(|_| exact.is_none()) {
            map.insert("size_total", total * 1024);
            map.insert("size_available", available * 1024);
            map.insert("block_size", 1024);
            map.insert("block_total", total);
            map.insert("block_available", available);
            map.insert("block_used", used);
        }
        if let Some([total, used, available]) = find(&inodes, &mount).filter(|_| exact.is_none()) {
            map.insert("inode_total", total);
            map.insert("inode_available", available);
            map.insert("inode_used", used);
        }
        map.insert("uuid", uuid(device).unwrap_or_else(|| "N/A".to_string()));
        list.push(Value::map(map));
    }
    facts.insert("ansible_mounts", Value::list(list));
}

/// Returns what the file system itself counts.
fn statfs(sections: &Sections, mount: &str) -> Option<Usage> {
    let line = sections.lines("statfs").iter().rev().find(|l| l.rsplit(' ').next() == Some(mount))?;
    Usage::parse(line.rsplit_once(' ')?.0)
}

/// What a file system counts: the size of a block, blocks, those available, inodes, those free, and the size in which it
/// is best read.
#[derive(Debug)]
pub struct Usage([u64; 5], u64);

impl Usage {
    /// Reads the numbers of `stat -f -c '%S %b %a %c %d %s'`; the last may be missing.
    pub fn parse(text: &str) -> Option<Usage> {
        let numbers: Option<Vec<u64>> = text.split_whitespace().map(|n| n.parse().ok()).collect();
        let numbers = numbers?;
        let counted: [u64; 5] = numbers.get(..5)?.try_into().ok()?;
        Some(Usage(counted, numbers.get(5).copied().unwrap_or(counted[0])))
    }

    /// Returns the facts about it.
    pub fn facts(&self) -> Map {
        let [size, total, available, inodes, free] = self.0;
        Map::from_iter([
            ("size_total", size.saturating_mul(total)),
            ("size_available", size.saturating_mul(available)),
            ("block_size", self.1),
            ("block_total", total),
            ("block_available", available),
            ("block_used", total.saturating_sub(available)),
            ("inode_total", inodes),
            ("inode_available", free),
            ("inode_used", inodes.saturating_sub(free)),
        ])
    }
}

/// Blanks in mount tables are written as octal numbers.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}
