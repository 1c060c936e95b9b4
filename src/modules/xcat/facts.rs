//! `xcat_facts`: what a management node is and holds. Reads only.

use super::common::{self, NAMESPACES};
use super::parse;
use super::sh::{Sections, quote, script};
use crate::modules::{ArgKind, ArgSpec, Call, Failure, Module, ModuleSpec, Prediction, Seen};
use crate::value::{Map, Value};

pub struct Facts;

static SPEC: ModuleSpec = ModuleSpec {
    name: "xcat_facts",
    namespaces: NAMESPACES,
    about: "Reads the version, site table, osimages and service nodes of an xCAT management node",
    args: &[ArgSpec::new(
        "service_group",
        ArgKind::Str,
        "The node group whose members are the service nodes",
    )
    .default("service")],
    returns: &[
        (
            "xcat",
            "version, dbengine, management_node, site, osimages (name to attributes), service_nodes, served_images (osimage to the nodes that load it from a service node)",
        ),
        ("ansible_facts", "the same under xcat"),
    ],
    ..ModuleSpec::BASE
};

impl Module for Facts {
    fn spec(&self) -> &'static ModuleSpec {
        &SPEC
    }

    fn probe(&self, call: &Call) -> Result<Option<String>, Failure> {
        let group = call.args.str("service_group").unwrap_or("service");
        Ok(Some(script(&format!(
            "xc_run version xcat lsxcatd -a\n[ \"$xc_rc\" = 0 ] || exit 0\n\
             xc_run site xcat tabdump site\nxc_run osimages xcat lsdef -t osimage -z\n\
             xc_run served xcat lsdef -t node -c -i servicenode,provmethod,currstate\n\
             xc_run members xcat nodels {}",
            quote(group)
        ))))
    }

    fn plan(&self, _: &Call, seen: &Seen) -> Result<Prediction, Failure> {
        let sections = Sections::of_probe(seen)?;
        let version = sections.get("version").ok_or_else(|| Failure::new("lsxcatd printed nothing"))?;
        if version.rc != 0 {
            return Err(common::command_failed("xcatd does not answer", version));
        }
        let xcat = facts(&sections);
        let mut ansible_facts = Map::new();
        ansible_facts.insert("xcat", xcat.clone());
        let mut result = Map::new();
        result.insert("xcat", xcat);
        result.insert("ansible_facts", ansible_facts);
        Ok(Prediction::read(result))
    }
}

fn facts(sections: &Sections) -> Value {
    let about = sections.text("version");
    let after = |key: &str| about.lines().find_map(|l| l.trim().strip_prefix(key)).map(str::trim);
    let version = after("Version ").and_then(|v| v.split_whitespace().next()).unwrap_or_default();
    let mut xcat = Map::new();
    xcat.insert("version", version);
    xcat.insert("management_node", about.contains("This is a Management Node"));
    xcat.insert("dbengine", after("dbengine=").unwrap_or_default());
    xcat.insert("site", common::attrs_value(&parse::site(sections.text("site"))));
    let images: Map = parse::objects(sections.text("osimages"))
        .into_iter()
        .map(|(name, mut attrs)| {
            attrs.remove("objtype");
            (name, common::attrs_value(&attrs))
        })
        .collect();
    xcat.insert("osimages", images);
    let mut served: std::collections::BTreeMap<String, Vec<String>> = Default::default();
    for (node, attrs) in parse::objects(sections.text("served")) {
        let get = |key: &str| attrs.get(key).map(String::as_str).unwrap_or_default();
        if !get("servicenode").is_empty()
            && !get("provmethod").is_empty()
            && get("currstate").starts_with("netboot ")
        {
            served.entry(get("provmethod").to_string()).or_default().push(node);
        }
    }
    xcat.insert("served_images", served.into_iter().collect::<Map>());
    // A group that does not exist has no members.
    let members = sections.get("members").filter(|s| s.rc == 0);
    let members: Vec<String> =
        members.map(|s| s.lines().map(|l| l.trim().to_string()).collect()).unwrap_or_default();
    xcat.insert("service_nodes", members);
    Value::map(xcat)
}

#[cfg(test)]
mod tests {
    use super::super::common::tests::with_call;
    use super::super::sh::tests::printed;
    use super::*;
    use crate::value::to_json;

    #[test]
    fn reads_a_management_node() {
        let seen = printed(&[
            (
                "version",
                "Version 2.19.0 (git commit 77)\nThis is a Management Node\ndbengine=SQLite\n",
                0,
                "",
            ),
            ("site", "#key,value,comments,disable\n\"installdir\",\"/install\",,\n", 0, ""),
            (
                "osimages",
                "# <xCAT data object stanza file>\n\ni1:\n    objtype=osimage\n    osarch=ppc64\n",
                0,
                "",
            ),
            (
                "served",
                "cn1: currstate=netboot a\ncn1: provmethod=c1\ncn1: servicenode=sn1\nsn1: currstate=netboot a\nsn1: provmethod=i1\nsn1: servicenode=\n",
                0,
                "",
            ),
            ("members", "sn1\nsn2\n", 0, ""),
        ]);
        let prediction =
            with_call(&Facts, serde_json::json!({}), false, |call| Facts.plan(call, &seen)).expect("read");
        assert_eq!(
            to_json(prediction.result.get("xcat").expect("there")).to_string(),
            r#"{"version":"2.19.0","management_node":true,"dbengine":"SQLite","site":{"installdir":"/install"},"osimages":{"i1":{"osarch":"ppc64"}},"served_images":{"c1":["cn1"]},"service_nodes":["sn1","sn2"]}"#
        );
    }
}
