use super::value::{Map, Value};
use super::{Input, cluster_name, import, interfaces, split, text};
use crate::diagnostic::{Diagnostics, SourceId, Sources};
use crate::yaml::{self, Kind, Node};
use ipnetwork::Ipv4Network;
use proptest::prelude::*;

/// What a reader makes of a value's text.
fn read_back(map: &Map) -> Value {
    let mut written = String::new();
    text::map(&mut written, map, 0);
    text::heading(&mut written, "last");
    let mut found = Diagnostics::default();
    let tree = yaml::parse(&written, SourceId(0), &mut found);
    assert!(found.is_empty(), "{:?}\n{written}", found.sorted());
    let Value::Map(mut read) = value(&tree.unwrap()) else { panic!("{written}") };
    assert!(read.remove("last").is_some(), "{written}");
    Value::Map(read)
}

fn value(node: &Node) -> Value {
    match &node.kind {
        Kind::Scalar { text, .. } => Value::text(text.as_str()),
        Kind::List(items) => Value::List(items.iter().map(value).collect()),
        Kind::Mapping(entries) => Value::Map(entries.iter().map(|entry| (entry.key.clone(), value(&entry.value))).collect()),
    }
}

/// A mapping with a text in every place.
fn with(text: &str) -> Map {
    let list = |long: bool| {
        Value::texts([text, if long { "a text that is so long that the list can't be on one line, by far, or so we hope" } else { "x" }])
    };
    let inner = Map::from([("list".to_owned(), list(false)), ("long".to_owned(), list(true)), ("text".to_owned(), Value::text(text))]);
    Map::from([
        ("text".to_owned(), Value::text(text)),
        ("inner".to_owned(), Value::Map(inner)),
        ("lists".to_owned(), Value::List(vec![list(false), list(true)])),
        (text.chars().take(100).collect(), Value::text("of a hostile key")),
    ])
}

#[test]
fn every_text_is_read_back_as_it_was() {
    let hostile = [
        "",
        " ",
        "a",
        "~",
        "null",
        "yes",
        "1.20",
        "0644",
        "-1",
        "17",
        "true",
        "a: b",
        "a #b",
        "#a",
        "- a",
        "a:",
        "[a]",
        "{a}",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "|",
        ">",
        "'a'",
        "\"a\"",
        "a\\b",
        "a\nb",
        "a\nb\n",
        "a\n\n",
        "a\n\nb\n\n\n",
        "\n",
        "\na",
        " a\nb\n",
        "\ta\nb",
        "a\tb\n\tc\n",
        "a \nb \n",
        "a\n \nb\n",
        "é\n世界\n",
        "a\r\nb\n",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\0",
        "a, b",
        "?",
        "? a",
        "---",
        "...",
        "---\na\n",
        "a\n---\nb\n",
        "# a\nb\n",
        "=",
        "<<",
        "2026-01-01",
        "1e3",
        "0x10",
        "12:30:45",
    ];
    for text in hostile {
        let map = with(text);
        assert_eq!(read_back(&map), Value::Map(map.clone()), "{text:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_back_as_it_was(text in "[ -~\n\t\u{a0}-\u{ff}]{0,40}") {
        let map = with(&text);
        prop_assert_eq!(read_back(&map), Value::Map(map.clone()));
    }

    #[test]
    fn no_input_causes_a_panic(text in "(#cloud-config\n)?(hostname: [ -~]{0,12}\n)?((rancher|write_files|runcmd|mounts|  services|  network|    interfaces|      eth0|  - content|  registry_auths|  docker):( [ -~]{0,20})?\n){0,8}") {
        let inputs = vec![Input { path: "a/b.yml".to_owned(), bytes: text.into_bytes() }];
        let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
        let imported = import(inputs, "x", None, &mut sources, &mut found);
        prop_assert_eq!(imported.is_none(), found.has_errors());
    }

    #[test]
    fn what_all_have_and_the_rest_is_what_each_had(nodes in proptest::collection::vec(settings(), 1..4)) {
        let mut rests = nodes.clone();
        let common = split::common(rests.iter_mut().collect(), false);
        for (node, rest) in nodes.iter().zip(&rests) {
            let mut merged = common.clone();
            merge(&mut merged, rest);
            prop_assert_eq!(&merged, node);
        }
    }
}

/// Settings with every kind of value, from few words, so that much is common.
fn settings() -> impl Strategy<Value = Map> {
    let word = || prop_oneof!["a", "b"].prop_map(Value::Text);
    let list = || proptest::sample::subsequence(vec!["a", "b", "c"], 1..=3).prop_map(Value::texts);
    let key = || prop_oneof!["command", "list", "text"];
    let service = proptest::collection::btree_map(key(), list(), 1..3).prop_map(Value::Map);
    let services = proptest::collection::btree_map("[mn]", service, 1..3).prop_map(Value::Map);
    (word(), list(), list(), services, proptest::option::of(list())).prop_map(|(address, runcmd, volumes, services, modules)| {
        let mut map = Map::from([
            ("address".to_owned(), address.clone()),
            ("interface".to_owned(), address),
            ("runcmd".to_owned(), runcmd),
            ("volumes".to_owned(), volumes),
            ("services".to_owned(), services),
        ]);
        map.extend(modules.map(|modules| ("dhcp".to_owned(), modules)));
        map
    })
}

/// By a profile's rule.
fn merge(weaker: &mut Map, stronger: &Map) {
    for (key, value) in stronger {
        match (weaker.get_mut(key), value) {
            (Some(Value::Map(map)), Value::Map(more)) => merge(map, more),
            (Some(Value::List(list)), Value::List(more)) if key != "command" => list.extend(more.iter().cloned()),
            _ => {
                weaker.insert(key.clone(), value.clone());
            }
        }
    }
}

#[test]
fn a_network_around_others_is_the_smallest() {
    let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Ipv4Network>>();
    let around = |texts: &[&str]| interfaces::around(&networks(texts)).map(|(network, differ)| (network.to_string(), differ));
    assert_eq!(around(&[]), None);
    assert_eq!(around(&["10.1.0.0/24", "10.1.0.0/24"]), Some(("10.1.0.0/24".to_owned(), false)));
    assert_eq!(around(&["10.1.0.0/24", "10.1.1.0/24"]), Some(("10.1.0.0/23".to_owned(), true)));
    assert_eq!(around(&["10.1.0.0/24", "10.1.0.0/16"]), Some(("10.1.0.0/16".to_owned(), true)));
    assert_eq!(around(&["10.0.0.0/8", "192.168.0.0/16"]).map(|one| one.1), Some(true));
}

#[test]
fn any_file_name_gives_a_cluster_a_name() {
    for (text, name) in [
        ("cluster", "cluster"),
        ("My Rack_2", "my-rack-2"),
        ("---", "imported"),
        ("", "imported"),
        ("世界", "imported"),
        ("null", "imported"),
    ] {
        assert_eq!(cluster_name(text), name, "{text}");
    }
    assert_eq!(cluster_name(&"a-".repeat(60)).len(), 39);
}
