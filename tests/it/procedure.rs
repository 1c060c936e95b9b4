//! The rules of the procedure, one by one, on one cluster that the whole job has been through: which change makes which
//! step act, with the reason that it gives, and what a step leaves alone.

use serde_json::Value;

use crate::support::rehearse::{Mode, PLAYBOOK, Ran, Rehearsal, can};

/// A site, and where it keeps things.
struct Site {
    name: &'static str,
    image: &'static str,
    dist: &'static str,
    /// The image's directory.
    root: &'static str,
    /// The site's own lists.
    lists: &'static str,
    /// A script that makes dhcpd start at boot, run in the image's tree.
    dhcpd_on: &'static str,
    archive: &'static str,
    boot_file: &'static str,
    /// How the one node is booted in the end; the job as a whole chooses by itself.
    boot_method: &'static str,
}

const EL9: Site = Site {
    name: "el9",
    image: "rhels9.4-x86_64-service-site",
    dist: "rhels9.4-x86_64",
    root: "/install/netboot/rhels9.4/x86_64/rhels9.4-x86_64-service-site",
    lists: "/install/custom/netboot/rhels9.4-x86_64-service-site",
    dhcpd_on: "mkdir -p etc/systemd/system/multi-user.target.wants && \
               ln -s /usr/lib/systemd/system/dhcpd.service etc/systemd/system/multi-user.target.wants/",
    archive: "rootimg.cpio.gz",
    boot_file: "/tftpboot/xcat/xnba/nodes/sn2",
    boot_method: "xcat_boot_method=rinstall",
};

const SEED: Site = Site {
    name: "seed",
    image: "rhels6.4-ppc64-service-site",
    dist: "rhels6.4-ppc64",
    root: "/install/netboot/rhels6.4/ppc64/rhels6.4-ppc64-service-site",
    lists: "/install/custom/netboot/rhels6.4-ppc64-service-site",
    dhcpd_on: "ln -s ../init.d/dhcpd etc/rc.d/rc3.d/S65dhcpd",
    archive: "rootimg.gz",
    boot_file: "/tftpboot/etc/sn2",
    boot_method: "xcat_boot_method=rnetboot",
};

/// A change on the management node, what it makes some step say, and how it is taken back.
struct Rule {
    change: String,
    args: &'static [&'static str],
    task: &'static str,
    /// What one of the step's reasons says.
    reason: String,
    back: String,
}

const DISTRIBUTION: &str = "The distribution is copied";
const GENIMAGE: &str = "The image is made on the management node";
const PACKIMAGE: &str = "The image is packed";
const NODESET: &str = "The nodes are set to boot the image";

fn rule(change: String, task: &'static str, reason: String, back: String) -> Rule {
    Rule { change, args: &[], task, reason, back }
}

/// Appends a line to a file and takes it back, the file's times too.
fn appended(file: &str, line: &str, task: &'static str, reason: String) -> Rule {
    rule(
        format!("cp -p {file} /root/before && echo '{line}' >>{file}"),
        task,
        reason,
        format!("cp -p /root/before {file}"),
    )
}

fn rules(site: &Site) -> Vec<Rule> {
    let Site { image, dist, root, lists, archive, .. } = site;
    let (version, arch) = dist.split_once('-').unwrap();
    let software = format!("/install/post/otherpkgs/{version}/{arch}/xcat/xcat-core");
    let chdef = |attr: &str| format!("/opt/xcat/bin/chdef -t osimage -o {image} {attr} >/dev/null");
    vec![
        rule(
            format!("mv /install/{version}/{arch}/.fingerprint /root/"),
            DISTRIBUTION,
            format!("/install/{version}/{arch} has no .fingerprint, so no medium was copied to the end"),
            format!("mv /root/.fingerprint /install/{version}/{arch}/"),
        ),
        rule(
            chdef("environvar=A=1"),
            GENIMAGE,
            "the attribute environvar is new".into(),
            chdef("environvar="),
        ),
        appended(
            &format!("{lists}/service.pkglist"),
            "#INCLUDE:/root/more.pkglist#",
            GENIMAGE,
            "the list /root/more.pkglist is new".into(),
        ),
        appended(
            &format!("{lists}/service.otherpkgs.pkglist"),
            "# a word",
            GENIMAGE,
            format!("the list {lists}/service.otherpkgs.pkglist changed"),
        ),
        appended(
            &format!("{lists}/service.postinstall"),
            "# a word",
            GENIMAGE,
            format!("the postinstall script {lists}/service.postinstall changed"),
        ),
        rule(
            format!("chmod -x {lists}/service.postinstall"),
            GENIMAGE,
            format!("the postinstall script {lists}/service.postinstall is not executable"),
            format!("chmod +x {lists}/service.postinstall"),
        ),
        appended(
            &format!("{software}/repodata/repomd.xml"),
            "<!-- -->",
            GENIMAGE,
            format!("the repository {software} changed"),
        ),
        rule(
            format!("mv {root}/rootimg /root/rootimg"),
            GENIMAGE,
            "the tree rootimg holds no system".into(),
            format!("mv /root/rootimg {root}/rootimg"),
        ),
        appended(
            &format!("{lists}/service.exlist"),
            "./usr/share/nothing*",
            PACKIMAGE,
            format!("the exclusion list {lists}/service.exlist changed"),
        ),
        appended(
            "/install/postscripts/ospkgs",
            "# a word",
            PACKIMAGE,
            "the directory /install/postscripts changed".into(),
        ),
        rule(
            format!(
                "cp -p {root}/{archive} /root/before && : >{root}/rootimg/etc/found && touch -d 2038-01-01 {root}/rootimg/etc/found"
            ),
            PACKIMAGE,
            format!("is newer than {archive}"),
            format!("rm {root}/rootimg/etc/found && touch {root}/{archive}"),
        ),
        Rule {
            args: &["-e", "xcat_pack_method=tar"],
            ..rule(
                ":".into(),
                PACKIMAGE,
                format!("it is packed as {archive} instead of rootimg.tar.gz"),
                ":".into(),
            )
        },
    ]
}

/// Runs a script on the management node, which must say that it came to its end.
#[track_caller]
fn on_management(rehearsal: &Rehearsal, script: &str) -> String {
    let said = rehearsal.shell("mn1", &format!("set -e\n{script}\necho done"));
    assert!(said.contains("done"), "{script}: {said}");
    said
}

/// The tasks that changed or would, by the last part of their names.
fn acting(ran: &Ran) -> Vec<&str> {
    let changed = ran.results().filter(|r| r["status"] == "changed");
    changed.filter_map(|r| r["name"].as_str()?.rsplit(" : ").next()).collect()
}

fn reasons(ran: &Ran, task: &str) -> String {
    let list = ran.result(task)["reasons"].as_array().cloned().unwrap_or_default();
    list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
}

/// Each input of a step makes just that step, and what comes after it, act.
fn each_input_counts(rehearsal: &Rehearsal, site: &Site) {
    on_management(rehearsal, "echo bash >/root/more.pkglist");
    for rule in rules(site) {
        on_management(rehearsal, &rule.change);
        let args = [&[PLAYBOOK, "--check"][..], rule.args].concat();
        let ran = rehearsal.run(&args);
        assert_eq!(ran.code, 0, "{}: {:?}", rule.change, ran.failures());
        let said = reasons(&ran, rule.task);
        assert!(said.contains(&rule.reason), "{}: {} said {said:?}", rule.change, rule.task);
        let first_expensive = [DISTRIBUTION, GENIMAGE, PACKIMAGE, NODESET];
        let before = first_expensive.iter().take_while(|t| **t != rule.task);
        for earlier in before {
            assert!(!acting(&ran).contains(earlier), "{}: {earlier} would act too", rule.change);
        }
        on_management(rehearsal, &rule.back);
    }
    rehearsal.run(&[PLAYBOOK, "--check"]).assert_nothing_changed();
}

/// What is refused before anything is changed.
fn refusals(rehearsal: &Rehearsal, site: &Site) {
    let ubuntu = rehearsal.run(&[PLAYBOOK, "-e", "xcat_osvers=ubuntu22.04"]);
    assert_eq!(ubuntu.code, 2);
    assert_eq!(
        ubuntu.failures(),
        [
            "xcat_preconditions : Compare this host with the image: ubuntu22.04: stateless service nodes of Ubuntu and Debian are not supported by xCAT"
        ]
    );
    let Site { image, dist, root, .. } = site;
    let other = format!("{dist}-netboot-compute");
    let move_to = |dir: &str| {
        on_management(
            rehearsal,
            &format!("/opt/xcat/bin/chdef -t osimage -o {other} rootimgdir={dir} >/dev/null"),
        )
    };
    let was = on_management(
        rehearsal,
        &format!("/opt/xcat/bin/lsdef -t osimage -o {other} -i rootimgdir | sed -n 's/.*rootimgdir=//p'"),
    );
    let was = was.lines().find(|l| l.starts_with('/')).unwrap_or_default();
    move_to(root);
    let shared = rehearsal.run(&[PLAYBOOK]);
    assert_eq!(shared.code, 2);
    assert_eq!(
        shared.failures(),
        [format!(
            "xcat_osimage : The site's osimage is cloned from it: the osimages {image} and {other} would share the rootimgdir {root} and overwrite each other; give {image} its own"
        )]
    );
    move_to(was);
}

/// A distribution that is copied again keeps what a site did to the stock osimages.
fn stock_osimages_are_kept(rehearsal: &Rehearsal, site: &Site) {
    let (version, arch) = site.dist.split_once('-').unwrap();
    let stock = format!("{}-netboot-compute", site.dist);
    let attribute = |value: &str| {
        on_management(
            rehearsal,
            &format!("/opt/xcat/bin/chdef -t osimage -o {stock} addkcmdline={value} >/dev/null"),
        )
    };
    attribute("ours");
    on_management(rehearsal, &format!("rm /install/{version}/{arch}/.fingerprint"));
    let again = rehearsal.run(&[PLAYBOOK, "--tags", "distribution"]);
    again.assert_success();
    assert_eq!(acting(&again), [DISTRIBUTION]);
    let kept = on_management(rehearsal, &format!("/opt/xcat/bin/lsdef -t osimage -o {stock} -i addkcmdline"));
    assert!(kept.contains("addkcmdline=ours"), "{kept}");
    attribute("");
}

/// Lists are edited by line; what people wrote into them stays.
fn lists_are_edited(rehearsal: &Rehearsal, site: &Site) {
    let list = format!("{}/service.pkglist", site.lists);
    let excluded = format!("{}/service.exlist", site.lists);
    on_management(
        rehearsal,
        &format!("cp -p {list} /root/list; cp -p {excluded} /root/excluded; echo '# ours' >>{list}"),
    );
    let variables = r#"{"xcat_packages": ["strace", "lsof"], "xcat_packages_absent": ["rsyslog"],
        "xcat_exclusions": ["./usr/share/nothing*"], "xcat_exclusions_absent": ["./usr/share/doc*"]}"#;
    let args = [PLAYBOOK, "--tags", "lists", "-e", variables];
    let ran = rehearsal.run(&args);
    ran.assert_success();
    assert_eq!(acting(&ran), ["The package list", "The exclusion list"]);
    let diff = on_management(
        rehearsal,
        &format!("diff /root/list {list} || true; diff /root/excluded {excluded} || true"),
    );
    let mut lines: Vec<&str> =
        diff.lines().map(str::trim_end).filter(|l| l.starts_with(['<', '>'])).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["< ./usr/share/doc*", "< rsyslog", "> # ours", "> ./usr/share/nothing*", "> lsof"]);
    let second = rehearsal.run(&args);
    second.assert_nothing_changed();
    on_management(rehearsal, &format!("cp -p /root/list {list}; cp -p /root/excluded {excluded}"));
}

/// Services that came back and a wrong exports line are put right in the tree, other lines stay; one node whose boot
/// file is wrong is set alone.
fn the_tree_and_boot_files_are_repaired(rehearsal: &Rehearsal, site: &Site) {
    let Site { root, dhcpd_on, boot_file, archive, .. } = site;
    on_management(rehearsal, &format!("sed -i s/{archive}/rootimg.other/ {boot_file}"));
    let one = rehearsal.run(&[PLAYBOOK]);
    one.assert_success();
    assert_eq!(acting(&one), [NODESET]);
    let set = one.result(NODESET)["changed_nodes"].as_object().cloned().unwrap_or_default();
    assert_eq!(set.keys().collect::<Vec<_>>(), ["sn2"]);
    assert!(set["sn2"].as_str().unwrap().contains("rootimg.other"), "{set:?}");

    on_management(
        rehearsal,
        &format!(
            "cd {root}/rootimg; {dhcpd_on}; sed -i s/fsid=13/fsid=14/ etc/exports; echo '/home *(ro)' >>etc/exports"
        ),
    );
    let ran = rehearsal.run(&[PLAYBOOK, "-e", r#"{"xcat_services_off": ["dhcpd", "no-such-service"]}"#]);
    ran.assert_success();
    assert_eq!(
        acting(&ran),
        [
            "Services are off in the image",
            "The image exports the install directory",
            PACKIMAGE,
            "The nodes are booted with this build of the image",
            "Service nodes have the install directory",
        ]
    );
    let exports = rehearsal.shell("sn1", "cat /etc/exports");
    assert!(
        exports.contains("/install *(ro,no_root_squash,sync,fsid=13)") && exports.contains("/home *(ro)"),
        "{exports}"
    );
    assert!(!exports.contains("fsid=14"), "{exports}");
    rehearsal.run(&[PLAYBOOK]).assert_nothing_changed();
}

/// Only a node that does not run this build is booted, by whatever command.
fn one_node_is_booted(rehearsal: &Rehearsal, site: &Site) {
    let boot_id = |node: &str| rehearsal.shell(node, "cat /run/boot_id");
    let before = boot_id("sn1");
    on_management(rehearsal, "/opt/xcat/bin/rpower sn2 off >/dev/null");
    let ran = rehearsal.run(&[PLAYBOOK, "-e", site.boot_method]);
    ran.assert_success();
    assert_eq!(
        acting(&ran),
        ["The nodes are booted with this build of the image", "Service nodes have the install directory"]
    );
    assert_eq!(boot_id("sn1"), before, "sn1 was booted");
    rehearsal.run(&[PLAYBOOK]).assert_nothing_changed();
}

fn follow_the_rules(site: &Site) {
    if !can("procedure", Mode::Namespaces) {
        return;
    }
    let rehearsal = Rehearsal::new(site.name, Mode::Namespaces);
    rehearsal.run(&[PLAYBOOK]).assert_success();
    refusals(&rehearsal, site);
    each_input_counts(&rehearsal, site);
    stock_osimages_are_kept(&rehearsal, site);
    lists_are_edited(&rehearsal, site);
    the_tree_and_boot_files_are_repaired(&rehearsal, site);
    one_node_is_booted(&rehearsal, site);
}

#[test]
fn el9_rules() {
    follow_the_rules(&EL9);
}

#[test]
fn seed_rules() {
    follow_the_rules(&SEED);
}
