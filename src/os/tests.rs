use super::config::{File, Pairs};
use super::*;
use crate::build::Project;
use crate::diagnostic::Diagnostics;
use crate::node::{self, Contexts, FileContent, Secret, Setting, Value, Written};
use crate::pki::{Form, Item, Reference};
use base64::Engine as _;
use std::sync::Arc;

/// A config of a real node, with `content` in a file.
fn config(content: &str) -> CloudConfig {
    let source = format!(
        "
cluster: a
target: rancheros-1.5
line: kubernetes-1.20
network: {{nodes: 10.0.0.0/16, gateway: 10.0.0.1}}
defaults: {{files: {{/opt/a: {{content: {}}}}}}}
nodes: {{one: {{roles: [control-plane, worker], address: 10.0.0.2}}}}
",
        serde_json::to_string(content).unwrap().replace('\u{7f}', "\\u007f")
    );
    let cluster = Project::of_text("p.yaml", source).cluster().unwrap();
    let mut found = Diagnostics::default();
    let node = node::lower(cluster.node_at(0), &Contexts::new(&cluster), &mut found);
    assert!(!found.has_errors());
    cloud_config(node)
}

fn service(name: &str, keys: Vec<Setting>) -> (String, Vec<Arc<Written<Setting>>>) {
    (name.to_owned(), keys.into_iter().map(Written::of).collect())
}

fn read(text: &str) -> serde_json::Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

const HOSTILE: [&str; 60] = [
    "",
    " ",
    "\n",
    "\n\n",
    "a\n",
    "a\nb",
    "a\n\n",
    "\na\n",
    " a\n",
    "a \n",
    "a\n b\n",
    "a\n\n\nb\n",
    "\t",
    "a\tb\n",
    "a\rb",
    "a\r\nb\r\n",
    "\\",
    "\"",
    "'",
    "\\n",
    "a: b",
    "a:",
    ":a",
    "a #b",
    "#a",
    "- a",
    "-",
    "---",
    "---\n",
    "...\n",
    "? a",
    "? a\n",
    "&a",
    "*a",
    "!a",
    "!!str a",
    "%YAML 1.1\n",
    "@a",
    "`a`",
    "|\n",
    ">-\n",
    "[a",
    "]a",
    "{a",
    "a}",
    "a, b",
    "<<",
    "=",
    "yes",
    "~",
    "0644",
    "1:20",
    "1e3",
    "2026-11-23",
    "é",
    "a\u{85}b",
    "\u{2028}",
    "\u{feff}a",
    "\u{7f}\u{1b}",
    "𝄞 \u{10ffff}",
];

#[test]
fn every_text_is_read_back_as_it_was_wherever_it_stands() {
    let mut config = config("");
    let texts: Vec<String> = HOSTILE.iter().map(|text| (*text).to_owned()).collect();
    let pairs: Vec<(String, String)> = texts.iter().cloned().zip(texts.iter().rev().cloned()).collect();
    config.rancher.environment = Pairs(pairs.clone());
    config.rancher.modules = texts.clone();
    config.rancher.services.0.push(service("x", vec![("command", Value::Texts(texts.clone())), ("labels", Value::Pairs(pairs))]));
    config.hostname = texts.concat();
    config.further = [("runcmd".to_owned(), serde_json::json!([texts, "a"])), ("mounts".to_owned(), serde_json::json!({"a": [[texts]]}))]
        .into_iter()
        .collect();
    let key = Reference { name: String::new(), item: Item::Public(Vec::new()), form: Form::Plain };
    for text in HOSTILE {
        // Texts with key material are never in base64.
        let content = FileContent::Secret(Secret::marked(text, &key));
        config.write_files.0[0] = Written::of(config.write_files.0[0].with(content));
        let emitted = emit(config.clone(), "");
        assert!(emitted.is_ascii());
        assert_eq!(read(&emitted), config.value(), "{text:?}");
    }
}

#[test]
fn numbers_flags_and_empty_things_keep_their_type() {
    let mut config = config("");
    let keys = vec![
        ("tty", Value::Flag(false)),
        ("mem_limit", Value::Int(i64::MIN)),
        ("ulimits", Value::Ints(vec![("nofile".to_owned(), 65536), ("1".to_owned(), 0)])),
        ("log_opt", Value::Pairs(Vec::new())),
        ("command", Value::Texts(Vec::new())),
    ];
    config.rancher.services.0 = vec![service("y", keys), service("empty", Vec::new())];
    let emitted = emit_services(&config);
    let expected = "\
\"y\":
  tty: false
  mem_limit: -9223372036854775808
  ulimits:
    nofile: 65536
    \"1\": 0
  log_opt: {}
  command: []
empty: {}
";
    assert_eq!(emitted, expected);
}

#[test]
fn only_what_nobody_can_misread_stands_without_quotes() {
    let mut config = config("");
    for (text, emitted) in [
        ("--v=2", "\"--v=2\""),
        ("kube-proxy", "kube-proxy"),
        ("/run:/run:shared", "/run:/run:shared"),
        ("/a: b", "\"/a: b\""),
        ("/a:", "\"/a:\""),
        ("a:b", "\"a:b\""),
        ("remuda/etcd", "remuda/etcd"),
        ("on", "\"on\""),
        ("On_", "On_"),
        ("1.20", "\"1.20\""),
        ("v1.20", "v1.20"),
        ("a\"b\\c\nd", "\"a\\\"b\\\\c\\nd\""),
        ("a b", "\"a b\""),
    ] {
        config.rancher.services.0 = vec![service("x", vec![("image", Value::Text(text.to_owned()))])];
        assert_eq!(emit_services(&config), format!("x:\n  image: {emitted}\n"));
    }
}

#[test]
fn a_text_of_several_lines_is_a_block_where_that_is_safe() {
    let mut config = config("");
    let mut emitted = |text: &str| {
        config.rancher.services.0 = vec![service("x", vec![("command", Value::Text(text.to_owned()))])];
        emit_services(&config)
    };
    assert_eq!(emitted("a: b\n\n  # c\n--- d\n"), "x:\n  command: |\n    a: b\n\n      # c\n    --- d\n");
    for unsafe_text in ["a\nb", "a\n\n", " a\nb\n", "a \nb\n", "\na\n", "a\tb\n"] {
        assert!(emitted(unsafe_text).starts_with("x:\n  command: \""), "{unsafe_text:?}");
    }
}

#[test]
fn the_comment_stands_below_the_line_that_makes_it_a_cloud_config() {
    let emitted = emit(config(""), "one\ntwo: three");
    assert!(emitted.starts_with("#cloud-config\n# one\n# two: three\nhostname: one\n"), "{emitted}");
}

#[test]
fn a_file_that_cannot_stand_as_text_is_sent_as_base64() {
    let file = |content: &str| {
        let config = config(content);
        let file = File::of(config.write_files.0.iter().find(|file| file.path == "/opt/a").unwrap());
        (file.encoding, file.content.into_owned())
    };
    for content in ["", "a: b\n", "null\n", "  a"] {
        assert_eq!(file(content), (None, content.to_owned()));
    }
    for content in ["null", "~", "é", "a\tb", "a\r\n", "x=$private_ipv4", "\u{7f}", "\u{1F600}"] {
        let (encoding, encoded) = file(content);
        assert_eq!(encoding, Some("base64"), "{content:?}");
        assert_eq!(base64::engine::general_purpose::STANDARD.decode(encoded).unwrap(), content.as_bytes());
    }
}

/// What `ros docker-init` does with dockerd's arguments (cmd/control/docker_init.go).
#[test]
fn a_shell_reads_dockers_arguments_as_they_are_written() {
    let hostile = [
        "a b",
        "$HOME",
        "${HOME}",
        "`id`",
        "$(id)",
        "a;b",
        "a&&b",
        "a|b",
        "<a",
        ">a",
        "*",
        "?",
        "[a]",
        "~/",
        "{a,b}",
        "a'b",
        "'",
        "\"",
        "a\\b",
        "\\",
        "!a",
        "#a",
        "(a)",
        "a\nb",
        "--label=a=b",
        "plain",
    ];
    let text = |text: &str| serde_json::to_string(text).unwrap();
    let arguments: Vec<String> = hostile.iter().map(|value| format!("--label={value}")).collect();
    let options: Vec<String> = hostile.iter().enumerate().map(|(index, value)| format!("option-{index}: {}", text(value))).collect();
    let source = format!(
        "
cluster: a
target: rancheros-1.5
line: kubernetes-1.20
network: {{nodes: 10.0.0.0/16, gateway: 10.0.0.1}}
defaults: {{docker: {{log_driver: fluentd, extra_args: [{}], log_opts: {{{}}}}}}}
nodes: {{one: {{roles: [etcd], address: 10.0.0.2}}, two: {{roles: [control-plane, worker], address: 10.0.0.3}}}}
",
        arguments.iter().map(|argument| text(argument)).collect::<Vec<_>>().join(", "),
        options.join(", ")
    );
    let cluster = Project::of_text("p.yaml", source).cluster().unwrap();
    let node = node::lower(cluster.node_at(0), &Contexts::new(&cluster), &mut Diagnostics::default());
    let engine = cloud_config(node).rancher.docker;
    let options = engine.log_opts.0.iter().filter(|(option, _)| option.starts_with("option"));
    let words: Vec<String> = engine.extra_args.iter().cloned().chain(options.map(|(option, value)| format!("{option}={value}"))).collect();
    let line = format!("exec printf '%s\\0' {}", words.join(" "));
    let output = std::process::Command::new("bash").args(["-c", &line]).env("HOME", "/nowhere").output().unwrap();
    let options = hostile.iter().enumerate().map(|(index, value)| format!("option-{index}={value}"));
    let expected: Vec<String> = arguments.into_iter().chain(options).collect();
    let read = String::from_utf8(output.stdout).unwrap();
    assert_eq!(read.split_terminator('\0').collect::<Vec<_>>(), expected);
}

#[test]
fn further_keys_are_put_beside_remudas_and_replace_none() {
    let mut config = config("");
    let before = config.value();
    let further = serde_json::json!({
        "bootcmd": ["a"],
        "hostname": "other",
        "rancher": {"debug": true, "docker": {"bip": "other", "debug": false}, "modules": ["last"]},
    });
    config.further = further.as_object().unwrap().clone();
    let after = config.value();
    assert_eq!((&after["hostname"], &after["rancher"]["docker"]["bip"]), (&before["hostname"], &before["rancher"]["docker"]["bip"]));
    assert_eq!((&after["bootcmd"], &after["rancher"]["debug"]), (&further["bootcmd"], &serde_json::json!(true)));
    assert_eq!(after["rancher"]["docker"]["debug"], serde_json::json!(false));
    assert_eq!(after["rancher"]["modules"].as_array().unwrap().last(), Some(&serde_json::json!("last")));
    config.further.clear();
    assert_eq!(config.value(), before);
}

#[test]
fn a_second_family_is_the_interfaces_second_address_and_gateway() {
    let source = "
cluster: a
target: burmillaos-2.0
line: kubernetes-1.37
network: {nodes: [10.0.0.0/16, 'fd00::/64'], pods: [10.128.0.0/16, 'fd00:1::/48'], services: [10.96.0.0/16, 'fd00:2::/112'], gateway: [10.0.0.1, 'fd00::1'], nameservers: ['fd00::53']}
nodes: {one: {roles: [control-plane, worker], address: 10.0.0.2, interfaces: {eth0: {addresses: [10.9.0.2/24]}}, interface: eth0}}
";
    let cluster = Project::of_text("p.yaml", source.to_owned()).cluster().unwrap();
    let node = node::lower(cluster.node_at(0), &Contexts::new(&cluster), &mut Diagnostics::default());
    let config = read(&emit(cloud_config(node), ""));
    let network = &config["rancher"]["network"];
    let own = &network["interfaces"]["eth0"];
    assert_eq!((&own["address"], &own["gateway"]), (&"10.0.0.2/16".into(), &"10.0.0.1".into()));
    assert_eq!((&own["addresses"], &own["gateway_ipv6"]), (&serde_json::json!(["fd00::2/64", "10.9.0.2/24"]), &"fd00::1".into()));
    assert_eq!(network["dns"]["nameservers"], serde_json::json!(["fd00::53"]));
}
