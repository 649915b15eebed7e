//! What comes out: the OS's own schema accepts it, libcompose knows every key, and a YAML 1.1
//! reader reads back exactly what was meant.

mod common;

use common::python;
use proptest::prelude::*;
use remuda::build::{File, Files, Paths, Project};
use remuda::diagnostic::Diagnostics;
use remuda::node::{self, Contexts, Value};
use remuda::os::{self, CloudConfig};
use remuda::plan::Cluster;
use std::path::Path;

fn cluster(name: &str, text: String) -> Cluster {
    Project::of_text(name, text).cluster().unwrap_or_else(|error| panic!("{error}"))
}

/// A profile with the OS's own keys at every level.
const OS_KEYS: &str = "tests/os/keys.yaml";

/// Lines that don't run on a target: the one has no user Docker for it, the other wants a newer kernel.
const APART: [(&str, &str); 2] = [("kubernetes-2015", "burmillaos-2.0"), ("kubernetes-1.37", "rancheros-1.5")];

/// Every profile of the project, on each target that its line runs on.
fn clusters() -> Vec<Cluster> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut clusters = Vec::new();
    let paths = root.join("profiles").read_dir().unwrap().map(|entry| entry.unwrap().path()).chain([root.join(OS_KEYS)]);
    for path in paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")) {
        let text = std::fs::read_to_string(&path).unwrap();
        for target in ["rancheros-1.5", "burmillaos-2.0"] {
            if APART.iter().any(|(line, other)| text.contains(&format!("line: {line}")) && target == *other) {
                continue;
            }
            let text = text.replace("rancheros-1.5", target).replace("burmillaos-2.0", target);
            clusters.push(cluster(path.to_str().unwrap(), text));
        }
    }
    for target in ["rancheros-1.5", "burmillaos-2.0"] {
        clusters.push(cluster("networks.yaml", NETWORKS.replace("rancheros-1.5", target)));
    }
    clusters.push(on_burmillaos_3());
    assert!(clusters.len() >= 8);
    clusters
}

/// A cluster on BurmillaOS 3.0, of a line that is changed to run there: no built-in one does yet.
fn on_burmillaos_3() -> Cluster {
    let (root, folder) = (Path::new(env!("CARGO_MANIFEST_DIR")), tempfile::tempdir().unwrap());
    let copy = |from: &str, to: &str, (old, new): (&str, &str)| {
        let to = folder.path().join(to);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(&to, std::fs::read_to_string(root.join(from)).unwrap().replace(old, new)).unwrap();
        camino::Utf8PathBuf::try_from(to).unwrap()
    };
    for file in ["kubernetes-containerd/services/kubelet", "kubernetes-containerd/services/containerd", "shared/services/user-volumes"] {
        copy(&format!("templates/{file}.yaml"), &format!("{file}.yaml"), (":shared", ""));
    }
    let profile = copy("profiles/burmillaos.yaml", "p.yaml", ("burmillaos-2.0", "burmillaos-3.0"));
    let paths = Paths { templates: profile.parent().map(Into::into), ..Paths::of(profile.clone()) };
    Project::open(paths).unwrap().cluster().unwrap_or_else(|error| panic!("{error}"))
}

const NETWORKS: &str = include_str!("networks/networks.yaml");

fn configs(cluster: &Cluster) -> Vec<CloudConfig> {
    let contexts = Contexts::new(cluster);
    let config = |of| {
        let mut found = Diagnostics::default();
        let node = node::lower(of, &contexts, &mut found);
        assert!(found.is_empty());
        os::cloud_config(node)
    };
    cluster.node_refs().map(config).collect()
}

/// What the nodes of a class share, each would have without the others.
#[test]
fn a_config_is_the_same_whether_its_parts_are_shared_or_not() {
    for cluster in clusters() {
        for (of, shared) in cluster.node_refs().zip(configs(&cluster)) {
            let alone = os::cloud_config(node::lower(of, &Contexts::new(&cluster), &mut Diagnostics::default()));
            assert_eq!((shared.fingerprint(), os::emit(shared, "")), (alone.fingerprint(), os::emit(alone, "")), "{}", of.node.name);
        }
    }
}

/// What PyYAML, a YAML 1.1 reader as a node's is, makes of documents.
fn read_back(documents: &[String]) -> Vec<serde_json::Value> {
    python("import sys, json, yaml\nfor text in json.load(sys.stdin):\n    print(json.dumps(yaml.safe_load(text)))", &documents)
}

/// What an OS's own schema has against documents: a list of messages for each.
fn problems(target: &str, documents: &[String]) -> Vec<serde_json::Value> {
    let file = match target {
        "rancheros-1.5" => "rancheros-1.5.8.json",
        // The types of 3.0 are those of 2.0 (config/types.go).
        "burmillaos-2.0" | "burmillaos-3.0" => "burmillaos-2.0.json",
        other => panic!("no schema of {other}"),
    };
    let schema = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema").join(file)).unwrap();
    const SCRIPT: &str = "
import sys, json, yaml, jsonschema
schema, texts = json.load(sys.stdin)
validator = jsonschema.Draft4Validator(json.loads(schema))
for text in texts:
    print(json.dumps([f'{list(error.path)}: {error.message}' for error in validator.iter_errors(yaml.safe_load(text))]))";
    python(SCRIPT, &(schema, documents))
}

/// `INSTA_UPDATE=always cargo test --test outputs` rewrites the expected networks.
#[test]
fn each_network_is_written_as_its_os_has_it() {
    let cluster = cluster("networks.yaml", NETWORKS.to_owned());
    let documents: Vec<String> = configs(&cluster).iter().map(|config| os::emit(config.clone(), "")).collect();
    let mut networks = String::new();
    for (node, document) in cluster.nodes.iter().zip(&documents) {
        let (_, rest) = document.split_once("\n  network:\n").unwrap();
        let lines = rest.lines().take_while(|line| line.starts_with("    "));
        networks.extend([format!("{}:\n", node.name)].into_iter().chain(lines.map(|line| format!("{}\n", &line[2..]))));
    }
    insta::with_settings!({ snapshot_path => "networks", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("networks", networks);
    });
    let config = serde_json::to_value(&configs(&cluster)[0]).unwrap();
    let environment = config["rancher"]["services"]["docker"]["environment"].to_string();
    for kept in ["OWN=value", "HTTP_PROXY=http://10.0.0.3:3128", "HTTPS_PROXY=http://10.0.0.3:3128", "NO_PROXY=localhost,"] {
        assert!(environment.contains(kept), "{environment}");
    }
}

#[test]
fn every_config_is_valid_by_its_os_own_schema() {
    for cluster in clusters() {
        let files: Vec<File> = Files::of(&cluster, None).iter().map(Result::unwrap).collect();
        let configs = files.into_iter().filter(|file| file.path.ends_with("/cloud-config.yml"));
        let texts: Vec<String> = configs.map(|file| String::from_utf8(file.bytes).unwrap()).collect();
        let problems = problems(cluster.target.name, &texts);
        assert_eq!((problems.len(), texts.len()), (cluster.nodes.len(), cluster.nodes.len()));
        assert!(problems.iter().all(|list| list == &serde_json::json!([])), "{}: {problems:?}", cluster.name);
    }
    // The check can fail: a key that the schema doesn't have is refused.
    let other = "rancher: {docker: {data_root: /x}}".to_owned();
    assert_ne!(problems("rancheros-1.5", std::slice::from_ref(&other)), [serde_json::json!([])]);
    assert_eq!(problems("burmillaos-2.0", &[other]), [serde_json::json!([])]);
}

/// `ServiceConfigV1` of the libcompose that RancherOS vendors.
const LIBCOMPOSE_V1: [&str; 46] = [
    "build",
    "cap_add",
    "cap_drop",
    "cgroup_parent",
    "cpu_quota",
    "cpuset",
    "cpu_shares",
    "command",
    "container_name",
    "devices",
    "dns",
    "dns_search",
    "domainname",
    "entrypoint",
    "env_file",
    "environment",
    "expose",
    "external_links",
    "extra_hosts",
    "hostname",
    "image",
    "ipc",
    "labels",
    "links",
    "log_driver",
    "log_opt",
    "mac_address",
    "mem_limit",
    "memswap_limit",
    "name",
    "net",
    "pid",
    "ports",
    "privileged",
    "read_only",
    "restart",
    "security_opt",
    "stdin_open",
    "tty",
    "ulimits",
    "user",
    "uts",
    "volume_driver",
    "volumes",
    "volumes_from",
    "working_dir",
];

#[test]
fn a_service_can_only_say_what_libcompose_knows() {
    let keys = <remuda::service::Service as remuda::yaml::Record>::keys();
    for key in keys {
        assert!(LIBCOMPOSE_V1.contains(&key), "{key}");
    }
}

#[test]
fn a_yaml_1_1_reader_reads_back_what_was_meant() {
    for cluster in clusters() {
        let configs = configs(&cluster);
        let texts: Vec<String> = configs.iter().map(|config| os::emit(config.clone(), "a comment\nof two lines")).collect();
        for (config, (text, read)) in configs.iter().zip(texts.iter().zip(read_back(&texts))) {
            assert!(text.starts_with("#cloud-config\n"));
            assert!(text.is_ascii());
            assert_eq!(config.value(), read, "{text}");
        }
    }
}

/// The OS's own keys are after remuda's, merged from all levels and rendered.
#[test]
fn the_oss_own_keys_are_in_the_config() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(OS_KEYS);
    let cluster = cluster(OS_KEYS, std::fs::read_to_string(path).unwrap());
    for mut config in configs(&cluster) {
        config.rancher.services.0.clear();
        config.write_files.0.clear();
        let name = config.hostname.clone();
        insta::with_settings!({ snapshot_path => "os", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, os::emit(config.clone(), ""));
        });
    }
}

/// Texts that YAML readers are known to trip over, and random ones out of what a value may have.
fn hostile() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "yes",
        "No",
        "on",
        "OFF",
        "y",
        "N",
        "true",
        "False",
        "0",
        "0644",
        "0x1f",
        "0b1",
        "0o17",
        "1_000",
        "1:20",
        "1e3",
        ".5",
        ".inf",
        "-.INF",
        ".nan",
        "1.0",
        "-1",
        "+1",
        "2026-11-23",
        "2026-11-23 10:00:00",
        "=",
        "<<",
        "",
        " ",
        "-",
        "--- ",
        "---",
        "...",
        "?",
        ":",
        "a: b",
        "a:b",
        "a #b",
        "#a",
        "&a",
        "*a",
        "!a",
        "%a",
        "@a",
        "`a",
        "|",
        ">",
        "[a]",
        "{a: b}",
        "'a'",
        "\"a\"",
        "\\",
        "\\n",
        "a\\",
        "a\nb",
        "a\nb\n",
        "\na",
        "a\n\n",
        " a",
        "a ",
        "a\n b\n",
        "key: |\n  text\n",
        "- a",
        "a,b",
        "$PATH",
        "${A}",
        "\\$private",
        "12:30:45",
        "190:20:30",
        "1e",
        "e1",
        "0.",
        ".",
        "1.2.3.4",
        "10.0.0.0/8",
        "::1",
        "None",
        "none",
        "a:",
        "http://a:1/b",
        "/a:/b:ro",
        "/a: b",
    ]);
    prop_oneof![known.prop_map(str::to_owned), "[ -~]{0,40}", "[ -~\n]{0,60}", "[-+0-9.:_eExX]{1,12}"]
        .prop_filter("what no emitter can save is refused before", |text| remuda::service::unfit(text).is_none())
}

fn config_with(texts: &[String]) -> CloudConfig {
    let pairs: Vec<(String, String)> = texts.iter().enumerate().map(|(index, text)| (format!("k{index}"), text.clone())).collect();
    let files = texts.iter().map(|text| node::File {
        path: "/opt/a".to_owned(),
        permissions: "0644".to_owned(),
        owner: None,
        container: "console".to_owned(),
        content: node::FileContent::Text(format!("{text}\n")),
    });
    let node = node::NodeConfig {
        hostname: "a",
        ssh_keys: &[],
        ssh_host_key: None,
        files: files.map(node::Written::of).collect(),
        services: vec![(
            "a",
            [("command", Value::Texts(texts.to_vec())), ("labels", Value::Pairs(pairs.clone()))].map(node::Written::of).into(),
        )],
        engine: node::Engine::default(),
        network: node::NodeNetwork {
            interfaces: vec![("eth0".to_owned(), node::Interface { by_dhcp: true, ..Default::default() })],
            nameservers: &[],
            search: &[],
            proxy: None,
        },
        sysctl: Vec::new(),
        modules: Vec::new(),
        environment: pairs,
        registries: Default::default(),
        preload_wait: false,
        commands: vec!["sh /opt/a.sh".to_owned(), "yes".to_owned()],
        os: [("mounts".to_owned(), serde_json::json!([texts, ["a"]]))].into_iter().collect(),
    };
    os::cloud_config(node)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hostile_texts_arrive_unchanged(texts in prop::collection::vec(hostile(), 100)) {
        let config = config_with(&texts);
        let text = os::emit(config.clone(), "");
        let read = read_back(std::slice::from_ref(&text));
        prop_assert_eq!(&config.value(), &read[0], "{}", text);
    }

    #[test]
    fn any_file_content_arrives_unchanged(content in "\\PC{0,80}|[ -~\t\r\n]{0,80}") {
        use base64::Engine;
        let mut config = config_with(&[]);
        let node_file = node::FileContent::Text(content.clone());
        config.write_files = os::cloud_config(with_file(node_file)).write_files;
        let text = os::emit(config.clone(), "");
        prop_assert!(text.is_ascii());
        let file = &read_back(std::slice::from_ref(&text))[0]["write_files"][0];
        let arrived = file["content"].as_str().unwrap().to_owned();
        let arrived = match file["encoding"].as_str() {
            Some(_) => base64::engine::general_purpose::STANDARD.decode(arrived).unwrap(),
            None => arrived.into_bytes(),
        };
        prop_assert_eq!(content.as_bytes(), &arrived[..], "{}", text);
    }
}

fn with_file(content: node::FileContent) -> node::NodeConfig<'static> {
    node::NodeConfig {
        hostname: "a",
        ssh_keys: &[],
        ssh_host_key: None,
        files: vec![node::Written::of(node::File {
            path: "/opt/a".into(),
            permissions: "0644".into(),
            owner: None,
            container: "console".into(),
            content,
        })],
        services: Vec::new(),
        engine: node::Engine::default(),
        network: node::NodeNetwork {
            interfaces: vec![("eth0".to_owned(), node::Interface { by_dhcp: true, ..Default::default() })],
            nameservers: &[],
            search: &[],
            proxy: None,
        },
        sysctl: Vec::new(),
        modules: Vec::new(),
        environment: Vec::new(),
        registries: Default::default(),
        preload_wait: false,
        commands: vec!["sh /opt/a.sh".to_owned(), "yes".to_owned()],
        os: Default::default(),
    }
}
