//! The 2015 post's cluster: what line kubernetes-2015 gives each program, held against tests/post/flags.md.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const NODES: [&str; 3] = ["node-01", "node-02", "node-03"];

/// The rows of the page's tables, which have six columns.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    cells.filter(|row| row.len() == 6 && row[0] != "service").collect()
}

/// Each node's services as they are written, from the checked-in tree.
fn services() -> BTreeMap<&'static str, serde_json::Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/post-2015/nodes");
    let texts: Vec<String> = NODES.iter().map(|node| std::fs::read_to_string(root.join(node).join("cloud-config.yml")).unwrap()).collect();
    const SCRIPT: &str =
        "import sys, json, yaml\nfor text in json.load(sys.stdin):\n    print(json.dumps(yaml.safe_load(text)['rancher']))";
    NODES.into_iter().zip(common::python(SCRIPT, &texts)).collect()
}

/// The flags of a service's command, without what it is started through.
fn flags(service: &serde_json::Value) -> BTreeMap<String, String> {
    let words = service["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
    let flags = words.filter_map(|word| word.strip_prefix("--")).map(|flag| flag.split_once('=').unwrap());
    flags.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn every_flag_is_the_posts_or_has_a_reason() {
    let page = include_str!("post/flags.md");
    let all = services();
    let mut seen: BTreeSet<(&str, &str, String)> = BTreeSet::new();
    let mut compared = 0;
    for row in rows(page) {
        let [service, nodes, flag, post, here, why] = row[..] else { panic!("{row:?}") };
        if service == "docker" || matches!(nodes, "yes" | "no") {
            continue;
        }
        assert!(here == "=" || !why.is_empty(), "{row:?} gives no reason");
        let nodes = match nodes {
            "all" => NODES.to_vec(),
            "workers" => NODES[1..].to_vec(),
            one => vec![one],
        };
        for node in nodes {
            let given = flags(&all[node]["services"][service]);
            let wanted = if here == "=" { post } else { here };
            let wanted = wanted.replace("NODE", node).replace("IP", "$NODE_ADDRESS").replace("ENDPOINT", "$API_ENDPOINT");
            let given = given.get(flag).map(String::as_str);
            match wanted.as_str() {
                "-" => assert_eq!(given, None, "{service} on {node}: {flag}"),
                "TOKEN" => assert!(given.unwrap().starts_with("http://172.28.128.1:8087/"), "{given:?}"),
                wanted => assert_eq!(given, Some(wanted), "{service} on {node}: {flag}"),
            }
            seen.insert((service, node, flag.to_owned()));
            compared += 1;
        }
    }
    assert!(compared > 40, "{compared}");
    let named: BTreeSet<&str> = seen.iter().map(|(service, ..)| *service).collect();
    for (node, rancher) in &all {
        for service in &named {
            let Some(definition) = rancher["services"].get(service) else { continue };
            for flag in flags(definition).into_keys() {
                assert!(seen.contains(&(*service, *node, flag.clone())), "{service} on {node}: --{flag} has no row in tests/post/flags.md");
            }
        }
    }
}

#[test]
fn every_service_runs_as_the_posts_did() {
    let all = services();
    let mut compared = 0;
    for row in rows(include_str!("post/flags.md")).into_iter().filter(|row| matches!(row[1], "yes" | "no")) {
        for rancher in all.values() {
            let Some(service) = rancher["services"].get(row[0]) else { continue };
            assert_eq!(service["privileged"].as_bool().unwrap_or(false), row[1] == "yes", "{}", row[0]);
            for (key, wanted) in ["net", "pid", "ipc", "restart"].into_iter().zip(&row[2..]) {
                assert_eq!(service[key].as_str().unwrap_or_default(), *wanted, "{}: {key}", row[0]);
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 14);
}

/// Docker is told its subnet by the OS's hook, once flannel has leased it; nothing says it twice.
#[test]
fn docker_starts_once_with_the_leased_subnet() {
    for (node, rancher) in services() {
        assert_eq!(rancher["docker"].get("bip"), None, "{node}");
        let for_the_kubelet: &[&str] =
            if node == "node-01" { &[] } else { &["--host=tcp://127.0.0.1:2375", "--default-ipc-mode=shareable"] };
        assert_eq!(rancher["docker"]["extra_args"], serde_json::json!([&["--mtu=1450"], for_the_kubelet].concat()), "{node}");
        assert_eq!(rancher["services"]["flannel-subnet"]["labels"]["io.rancher.os.before"], "docker", "{node}");
    }
}
