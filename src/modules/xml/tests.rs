//! Cases of the module `xml`: arguments and documents in, documents and results out.

use super::*;
use crate::modules::testing::Case;
use crate::value::from_json;

const BEERS: &str = "<?xml version='1.0' encoding='UTF-8'?>\n<business type=\"bar\">\n  <name>Tasty Beverage Co.</name>\n  <beers>\n    <beer>Rochefort 10</beer>\n    <beer>St. Bernardus Abbot 12</beer>\n    <beer>Schlitz</beer>\n  </beers>\n  <rating subjective=\"true\">10</rating>\n  <website>\n    <mobilefriendly/>\n    <address>http://tastybeverageco.com</address>\n  </website>\n</business>";

const NAMESPACED: &str = "<?xml version='1.0' encoding='UTF-8'?>\n<business xmlns=\"http://test.business\" xmlns:attr=\"http://test.attribute\" type=\"bar\">\n  <name>Tasty</name>\n  <beers xmlns=\"http://test.beers\">\n    <beer>Rochefort 10</beer>\n  </beers>\n  <rating xmlns=\"http://test.rating\" attr:subjective=\"true\">10</rating>\n</business>";

fn done(args: &str, before: &str) -> Result<Done, String> {
    let given = from_json(&serde_json::from_str(args).unwrap());
    let mut given = given.as_map().unwrap().clone();
    given.insert("path", "/f");
    let args = SPEC.check(&given).map_err(|f| f.msg)?;
    work(&args, before.as_bytes(), "/f").map_err(|f| f.msg)
}

/// Applies a change and takes a part of the text away that stays: `before` becomes `after`.
fn check(args: &str, document: &str, before: &str, after: &str) {
    assert!(document.contains(before), "{before}");
    let done = done(args, document).unwrap();
    let text = print::file(&done.after, Layout::AsIs);
    assert_eq!(text, document.replacen(before, after, 1), "{args}");
    assert_eq!(done.changed, before != after, "{args}");
}

#[test]
fn texts_and_attributes() {
    check(r#"{"xpath": "/business/rating", "value": "11"}"#, BEERS, ">10<", ">11<");
    check(r#"{"xpath": "/business/rating", "value": "10"}"#, BEERS, ">10<", ">10<");
    // As there, what is not so makes an element more.
    check(
        r#"{"xpath": "/business/rating/text()='11'"}"#,
        BEERS,
        "</business>",
        "<rating>11</rating></business>",
    );
    check(r#"{"xpath": "/business/rating/text()='10'"}"#, BEERS, "</business>", "</business>");
    check(
        r#"{"xpath": "/business/website/address", "value": ""}"#,
        BEERS,
        ">http://tastybeverageco.com<",
        "><",
    );
    check(
        r#"{"xpath": "/business/rating", "attribute": "subjective", "value": "a\"<&"}"#,
        BEERS,
        "\"true\"",
        "\"a&quot;&lt;&amp;\"",
    );
    check(r#"{"xpath": "/business/beers/beer[text()=\"Schlitz\"]", "value": "ö"}"#, BEERS, "Schlitz", "ö");
    check(
        r#"{"xpath": "/business/rating/@subjective", "state": "absent"}"#,
        BEERS,
        " subjective=\"true\"",
        "",
    );
    check(r#"{"xpath": "/business/none", "state": "absent"}"#, BEERS, "", "");
    check(
        r#"{"xpath": "/business/website/mobilefriendly", "state": "absent"}"#,
        BEERS,
        "<mobilefriendly/>\n    ",
        "",
    );
    check(
        r#"{"xpath": "/business/website/*", "state": "absent"}"#,
        BEERS,
        "<mobilefriendly/>\n    <address>http://tastybeverageco.com</address>\n  ",
        "",
    );
}

#[test]
fn namespaces() {
    let names = r#""namespaces": {"bus": "http://test.business", "ber": "http://test.beers", "rat": "http://test.rating", "attr": "http://test.attribute"}"#;
    let with = |rest: &str| format!("{{{names}, {rest}}}");
    check(&with(r#""xpath": "/bus:business/rat:rating", "value": "11""#), NAMESPACED, ">10<", ">11<");
    check(
        &with(r#""xpath": "/bus:business/rat:rating", "attribute": "attr:subjective", "value": "false""#),
        NAMESPACED,
        "attr:subjective=\"true\"",
        "attr:subjective=\"false\"",
    );
    check(
        &with(r#""xpath": "/bus:business/rat:rating/@attr:subjective", "state": "absent""#),
        NAMESPACED,
        " attr:subjective=\"true\"",
        "",
    );
    check(
        &with(r#""xpath": "/bus:business/ber:beers", "add_children": [{"{http://test.beers}beer": "Old"}]"#),
        NAMESPACED,
        "</beer>\n  </beers>",
        "</beer>\n  <beer>Old</beer></beers>",
    );
    check(
        &with(r#""xpath": "/bus:business/bus:new", "value": "x""#),
        NAMESPACED,
        "</rating>\n",
        "</rating>\n<new>x</new>",
    );
    check(
        &with(r#""xpath": "/bus:business/bus:name", "attribute": "rat:x", "value": "1""#),
        NAMESPACED,
        "<name>",
        "<name xmlns:ns0=\"http://test.rating\" ns0:x=\"1\">",
    );
}

#[test]
fn children() {
    let end = "<beer>Schlitz</beer>\n  </beers>";
    check(
        r#"{"xpath": "/business/beers", "add_children": [{"beer": "Old Rasputin"}, "empty", {"b": {"x": "1", "+value": "v", "_": [{"c": "d"}]}}]}"#,
        BEERS,
        end,
        "<beer>Schlitz</beer>\n  <beer>Old Rasputin</beer><empty/><b x=\"1\">v<c>d</c></b></beers>",
    );
    check(
        r#"{"xpath": "/business/beers/beer[2]", "insertbefore": true, "add_children": [{"beer": "A"}, {"beer": "B"}]}"#,
        BEERS,
        "<beer>St.",
        "<beer>A</beer><beer>B</beer><beer>St.",
    );
    check(
        r#"{"xpath": "/business/beers/beer", "insertafter": true, "add_children": [{"beer": "A"}]}"#,
        BEERS,
        end,
        "<beer>Schlitz</beer>\n  <beer>A</beer></beers>",
    );
    check(
        r#"{"xpath": "/business/website", "set_children": []}"#,
        BEERS,
        "<mobilefriendly/>\n    <address>http://tastybeverageco.com</address>\n  ",
        "",
    );
    check(
        r#"{"xpath": "/business/beers", "input_type": "xml", "set_children": ["<beer a='1'>X</beer>"]}"#,
        BEERS,
        "<beer>Rochefort 10</beer>\n    <beer>St. Bernardus Abbot 12</beer>\n    <beer>Schlitz</beer>\n  ",
        "<beer a=\"1\">X</beer>",
    );
    // What is the same but for white space counts as the same.
    let same = r#"{"xpath": "/business/beers", "set_children": [{"beer": "Rochefort 10"}, {"beer": "St. Bernardus Abbot 12"}, {"beer": "Schlitz"}]}"#;
    assert!(!done(same, BEERS).unwrap().changed);
}

#[test]
fn what_is_not_there_is_made() {
    let end = "</website>\n</business>";
    let made = |text: &str| format!("</website>\n{text}</business>");
    for (xpath, text) in [
        ("/business/new", "<new/>"),
        ("/business/new/deep", "<new><deep/></new>"),
        ("/business/new/@x", "<new x=\"\"/>"),
        ("/business/new/@x='1'", "<new x=\"1\"/>"),
        ("/business/new/text()='1'", "<new>1</new>"),
        ("/business/new[@a='1' and text()='2']/b", "<new a=\"1\">2<b/></new>"),
        ("/business/new[b/@c=\"1\"]", "<new><b c=\"1\"/></new>"),
    ] {
        check(&serde_json::json!({ "xpath": xpath }).to_string(), BEERS, end, &made(text));
    }
    check(r#"{"xpath": "/business/@type='x'"}"#, BEERS, "\"bar\"", "\"x\"");
    check(r#"{"xpath": "/business/@type='bar'"}"#, BEERS, "\"bar\"", "\"bar\"");
    check(
        r#"{"xpath": "/business/website/validxhtml", "attribute": "on", "value": "1976"}"#,
        BEERS,
        "</website>",
        "<validxhtml on=\"1976\"/></website>",
    );
}

#[test]
fn reads() {
    let check = |args: &str, expect: &str| {
        let done = done(args, BEERS).unwrap();
        assert!(done.reads && !done.changed);
        let mut result = done.result;
        result.remove("actions");
        assert_eq!(Value::map(result).repr(), expect, "{args}");
    };
    check(r#"{"xpath": "/business/beers/beer", "count": true}"#, "{'count': 3, 'msg': 'found 3 nodes'}");
    check(
        r#"{"xpath": "/business/beers/beer[2]|//website", "print_match": true}"#,
        "{'matches': [], 'msg': 'selector \\'/business/beers/beer[2]|//website\\' match: [\"/business/beers/beer[2]\", \"/business/website\"]'}",
    );
    check(
        r#"{"xpath": "/business/rating", "content": "attribute"}"#,
        "{'count': 1, 'msg': 1, 'matches': [{'rating': {'subjective': 'true'}}]}",
    );
    check(
        r#"{"xpath": "/business/website/*", "content": "text"}"#,
        "{'count': 2, 'msg': 2, 'matches': [{'mobilefriendly': None}, {'address': 'http://tastybeverageco.com'}]}",
    );
}

#[test]
fn expressions() {
    let document = "<a><b n='1'>x</b><b n='2'>y<c/>z</b><d xml:lang='en'>10</d><!--note--><?go fast?></a>";
    let doc = parse::parse(document.as_bytes(), Cdata::Keep).unwrap();
    let say = |text: &str| {
        let found = xpath::parse(text).and_then(|expr| eval::evaluate(&doc, ROOT, &expr, &[]));
        match found {
            Ok(Found::Places(places)) => {
                let one = |place: &Place| match place {
                    Place::Node(id) => print::one(&doc, *id),
                    Place::Attribute(id, at) => {
                        let (name, value) = &doc.element(*id).unwrap().attributes[*at];
                        format!("{}={value}", name.written())
                    }
                };
                places.iter().map(one).collect::<Vec<_>>().join(" ")
            }
            Ok(Found::Bool(truth)) => truth.to_string(),
            Ok(Found::Number(number)) => number.to_string(),
            Ok(Found::Text(text)) => text,
            Err(what) => format!("! {what}"),
        }
    };
    for (expression, expect) in [
        ("/a/b[2]/text()", "y z"),
        ("//b[last()]/@n", "n=2"),
        ("//b[@n='2']/preceding-sibling::b/@n", "n=1"),
        ("//c/ancestor::*[1]/@n", "n=2"),
        ("//c/following::d/text()", "10"),
        ("/a/*[name()='d']/@xml:lang", "xml:lang=en"),
        ("/a/node()[last()]", "<?go fast?>"),
        ("//comment()", "<!--note-->"),
        ("//b[position()=1 or @n=2]/@n", "n=1 n=2"),
        ("//b[not(c)]/@n", "n=1"),
        ("//b[contains(., 'y')]/@n", "n=2"),
        ("count(//b) * 2 + 1 - -3", "8"),
        ("sum(//d) div 4", "2.5"),
        ("7 mod 4", "3"),
        ("string(/a/b[2])", "yz"),
        ("concat(substring('12345', 2, 3), '-', translate('bar', 'abc', 'AB'))", "234-BAr"),
        ("substring-before('a=b', '=')", "a"),
        ("normalize-space('  a  b ')", "a b"),
        ("/a/b = 'x'", "true"),
        ("/a/d > 9", "true"),
        ("round(2.5) = 3 and floor(-1.5) = -2", "true"),
        ("(//b)[2]/@n", "n=2"),
        ("//b | //d/text()", "<b n=\"1\">x</b> <b n=\"2\">y<c/>z</b> 10"),
        ("descendant-or-self::node()/child::d/attribute::*", "xml:lang=en"),
        ("/a/and", ""),
        ("", "! Invalid expression"),
        ("/a[", "! Invalid expression"),
        ("/a[1", "! Invalid predicate"),
        ("$x", "! variables are not supported"),
        ("re:test(., 'x')", "! the function re:test() is not supported"),
        ("namespace::x", "! the axis namespace is not supported"),
        ("//x:b", "! Undefined namespace prefix"),
        ("count(1)", "! Invalid type: nodes are needed"),
    ] {
        assert_eq!(say(expression), expect, "{expression}");
    }
    assert_eq!(say(&"(".repeat(300)), "! too many expressions within one another");
    assert_eq!(say(&"1+".repeat(300)), "! too many operators");
}

#[test]
fn layouts() {
    let check = |text: &str, expect: &str| {
        let mut doc = parse::parse(text.as_bytes(), Cdata::Keep).unwrap();
        doc.drop_blanks();
        let head = "<?xml version='1.0' encoding='UTF-8'?>\n";
        assert_eq!(print::file(&doc, Layout::Pretty), format!("{head}{expect}"), "{text}");
    };
    check("<a> <b/>\n<c>t</c></a>", "<a>\n  <b/>\n  <c>t</c>\n</a>\n");
    check("<a>t <b/> <c/></a>", "<a>t <b/> <c/></a>\n");
    check("<a><b> </b></a>", "<a>\n  <b> </b>\n</a>\n");
    check("<a xml:space='preserve'> <b/> </a>", "<a xml:space=\"preserve\"> <b/> </a>\n");
    check("<!--x--><a/><!--y-->", "<!--x-->\n<a/>\n<!--y-->\n");
    check("<!DOCTYPE a PUBLIC '-//x' \"y\"><a/>", "<!DOCTYPE a PUBLIC \"-//x\" \"y\">\n<a/>\n");
    check(
        "<a k='&#10;&#x9;&quot;'>&#13;&gt;<![CDATA[<]]></a>",
        "<a k=\"&#10;&#9;&quot;\">&#13;&gt;<![CDATA[<]]></a>\n",
    );
}

#[test]
fn broken_documents() {
    let fails = |bytes: &[u8], expect: &str| {
        assert_eq!(
            parse::parse(bytes, Cdata::Keep).err().as_deref(),
            Some(expect),
            "{}",
            String::from_utf8_lossy(bytes)
        );
    };
    fails(b"", "Document is empty, line 1");
    fails(b"x", "Start tag expected, '<' not found, line 1");
    fails(b"<a>\n<b></a>", "Opening and ending tag mismatch: b and a, line 2");
    fails(b"<a/>\n<b/>", "Extra content at the end of the document, line 2");
    fails(b"<a k=1/>", "AttValue: \" or ' expected, line 1");
    fails(b"<a k='1' k='2'/>", "Attribute k redefined, line 1");
    fails(b"<a>&x;</a>", "Entity 'x' not defined, line 1");
    fails(b"<p:a/>", "Namespace prefix p on a is not defined, line 1");
    fails(
        b"<!DOCTYPE a [<!ENTITY x 'y'>]><a/>",
        "a document type with declarations of its own is not supported, line 1",
    );
    fails(b"<a>\x01</a>", "Char 0x1 out of allowed range, line 1");
    fails(b"<a>\xff</a>", "Input is not proper UTF-8, indicate encoding !");
    fails("<a>".repeat(300).as_bytes(), "Excessive depth in document: 256, line 1");
    let latin = parse::parse(b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>", Cdata::Keep).unwrap();
    assert!(print::file(&latin, Layout::AsIs).ends_with("<a>é</a>"));
}

#[test]
fn failures_and_texts_in_place_of_files() {
    let fails = |args: &str, expect: &str| {
        let failed = done(args, BEERS).err().unwrap();
        assert!(failed.starts_with(expect), "{args}: {failed}");
    };
    fails(
        r#"{"xpath": "/business/rating", "value": 11}"#,
        "A non-string value 11 was parsed for element text at xpath '/business/rating'. YAML",
    );
    fails(r#"{"xpath": "/business[", "value": "1"}"#, "Syntax error in xpath expression: /business[ (");
    fails(
        r#"{"xpath": "/business/none", "content": "text"}"#,
        "Xpath /business/none does not reference a node!",
    );
    fails(
        r#"{"xpath": "/business", "state": "absent"}"#,
        "Couldn't delete xpath target: /business (the root element cannot be deleted)",
    );
    fails(r#"{"value": "1"}"#, "missing parameter(s) required by 'value': xpath");
    fails(r#"{"xpath": "/business", "add_children": [{"a": 1}]}"#, "a is no string but int: quote it");
    fails(r#"{"xpath": "/business", "add_children": [{"a b": "1"}]}"#, "Invalid tag name 'a b'");
    fails(r#"{"xpath": "/other[1]/x[2]", "value": "1"}"#, "Xpath /other[1]/x[2] causes a failure: ");
    let mut given = crate::modules::testing::args(&[("xpath", "/a/b"), ("value", "1")]);
    given.insert("xmlstring", "<a/>");
    let prediction = Case::new(&Xml, given).plan("").unwrap();
    assert_eq!(
        prediction.result.get("xmlstring").unwrap().to_text(),
        "<?xml version='1.0' encoding='UTF-8'?>\n<a><b>1</b></a>"
    );
    assert!(prediction.changes() && prediction.change.is_some_and(|change| change.actions.is_empty()));
}
