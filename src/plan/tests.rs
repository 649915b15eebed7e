use super::*;
use crate::diagnostic::{Style, text};
use crate::node::{self, Contexts, FileContent, Value};
use crate::profile;
use crate::terms::Role;
use ipnetwork::Ipv4Network;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

const HEAD: &str = "\
cluster: a
target: rancheros-1.5
line: kubernetes-1.20
network: {nodes: 10.0.0.0/16, pods: 10.128.0.0/10, gateway: 10.0.0.1}
";

fn plan(source: &str) -> (Option<Cluster>, Diagnostics, Sources) {
    let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
    let profile = profile::read(&mut sources, "p.yaml", source.to_owned(), &mut found).unwrap();
    let draft = decide(&profile, &Lines::default(), Known::default(), &mut sources, &mut found);
    (draft.map(|draft| draft.with(Vec::new())), found, sources)
}

/// The cluster of [`HEAD`] and `rest`.
fn cluster(rest: &str) -> Cluster {
    let (cluster, found, sources) = plan(&format!("{HEAD}{rest}"));
    cluster.unwrap_or_else(|| panic!("{}", text(&found, &sources, Style::Plain)))
}

/// Codes of the errors, with the text that each marks.
fn errors(rest: &str) -> Vec<(&'static str, String)> {
    let (_, found, sources) = plan(&format!("{HEAD}{rest}"));
    let marked = |span: crate::diagnostic::Span| sources.get(span.source).text[span.start as usize..span.end as usize].to_owned();
    let errors = found.sorted().into_iter().filter(|one| one.severity() == crate::diagnostic::Severity::Error);
    errors.map(|one| (one.code.name(), one.span.map(marked).unwrap_or_default())).collect()
}

fn class<'c>(cluster: &'c Cluster, node: &str) -> &'c Class {
    &cluster.classes[cluster.nodes.iter().find(|one| one.name == node).unwrap().class]
}

fn modules(class: &Class) -> Vec<&str> {
    class.modules.iter().map(|module| module.text.as_str()).collect()
}

fn sysctl<'c>(class: &'c Class, name: &str) -> Option<&'c str> {
    class.sysctl.iter().find(|(key, _)| key == name).map(|(_, text)| text.text.as_str())
}

fn subnets(cluster: &Cluster) -> BTreeMap<&str, Option<Ipv4Network>> {
    cluster.nodes.iter().map(|node| (node.name.as_str(), node.subnet)).collect()
}

/// A service's key on a node, as it is rendered.
fn rendered(cluster: &Cluster, node: &str, service: &str, key: &str) -> Value {
    let index = cluster.nodes.iter().position(|one| one.name == node).unwrap();
    let mut found = Diagnostics::default();
    let node = node::lower(cluster.node_at(index), &Contexts::new(cluster), &mut found);
    assert!(found.is_empty(), "{:?}", found.sorted());
    let (_, keys) = node.services.into_iter().find(|(name, _)| *name == service).unwrap();
    keys.iter().find(|one| one.0 == key).unwrap().1.clone()
}

/// The value of a flag of a service's command on a node.
fn flag(cluster: &Cluster, node: &str, service: &str, name: &str) -> String {
    let Value::Texts(words) = rendered(cluster, node, service, "command") else { panic!("a list") };
    let given: Vec<&str> = words.iter().filter_map(|word| word.strip_prefix(&format!("--{name}="))).collect();
    let [one] = given[..] else { panic!("{words:?}") };
    one.to_owned()
}

/// The value of a variable of a service on a node.
fn variable(cluster: &Cluster, node: &str, service: &str, name: &str) -> String {
    let Value::Texts(texts) = rendered(cluster, node, service, "environment") else { panic!("a list") };
    let given: Vec<&str> = texts.iter().filter_map(|text| text.strip_prefix(&format!("{name}="))).collect();
    let [one] = given[..] else { panic!("{texts:?}") };
    one.to_owned()
}

#[test]
fn founders_are_who_the_profile_says() {
    let cluster = cluster(&format!("etcd: {{founders: ['m-[2-3]']}}\n{THREE}"));
    assert_eq!(variable(&cluster, "m-1", "etcd", "FOUNDERS"), "m-2 m-3");
    assert_eq!(errors(&format!("etcd: {{founders: [w]}}\n{THREE}")), [("unknown-founder", "w".to_owned())]);
    assert_eq!(errors(&format!("etcd: {{founders: ['m-[3-1]']}}\n{THREE}")), [("invalid-name", "'m-[3-1]'".to_owned())]);
}

const LEVELS: &str = "
defaults:
  interface: eth1
  modules: [of_defaults]
  sysctl: {x.defaults: 1, x.role: 1, x.group: 1, x.node: 1}
roles:
  worker:
    interface: eth2
    modules: [of_role, of_defaults]
    sysctl: {x.role: 2, x.group: 2, x.node: 2}
groups:
  g:
    role: worker
    interface: eth3
    modules: [of_group]
    sysctl: {x.group: 3, x.node: 3}
nodes:
  m: {role: control-plane, address: 10.0.0.2}
  r: {role: worker, address: 10.0.0.3}
  g: {group: g, address: 10.0.0.4}
  n: {group: g, address: 10.0.0.5, interface: eth4, modules: [of_node], sysctl: {x.node: 4}}
";

#[test]
fn a_single_value_is_the_strongest_levels() {
    let cluster = cluster(LEVELS);
    let interfaces = ["m", "r", "g", "n"].map(|node| class(&cluster, node).interface.as_deref().unwrap());
    assert_eq!(interfaces, ["eth1", "eth2", "eth3", "eth4"]);
}

#[test]
fn a_list_is_added_to_from_weak_to_strong_without_repetition() {
    let cluster = cluster(LEVELS);
    assert_eq!(modules(class(&cluster, "m")), ["br_netfilter", "of_defaults"]);
    assert_eq!(modules(class(&cluster, "r")), ["br_netfilter", "of_defaults", "of_role"]);
    assert_eq!(modules(class(&cluster, "n")), ["br_netfilter", "of_defaults", "of_role", "of_group", "of_node"]);
}

#[test]
fn a_mapping_is_merged_key_by_key() {
    let cluster = cluster(LEVELS);
    let values =
        |node| ["x.defaults", "x.role", "x.group", "x.node", "net.ipv4.ip_forward"].map(|key| sysctl(class(&cluster, node), key).unwrap());
    assert_eq!(values("m"), ["1", "1", "1", "1", "1"]);
    assert_eq!(values("r"), ["1", "2", "2", "2", "1"]);
    assert_eq!(values("g"), ["1", "2", "3", "3", "1"]);
    assert_eq!(values("n"), ["1", "2", "3", "4", "1"]);
}

#[test]
fn the_release_line_is_the_weakest_level() {
    let cluster = cluster(
        "
defaults: {sysctl: {net.ipv4.tcp_keepalive_time: 7}}
roles: {worker: {sysctl: {net.ipv4.tcp_keepalive_probes: ~}, modules: !override [mine, br_netfilter]}}
nodes: {m: {role: control-plane, address: 10.0.0.2}, w: {role: worker, address: 10.0.0.3}}
",
    );
    let (m, w) = (class(&cluster, "m"), class(&cluster, "w"));
    assert_eq!((sysctl(m, "net.ipv4.tcp_keepalive_time"), sysctl(w, "net.ipv4.tcp_keepalive_time")), (Some("7"), Some("7")));
    assert_eq!(sysctl(m, "net.ipv4.tcp_keepalive_probes"), Some("3"));
    assert_eq!(sysctl(w, "net.ipv4.tcp_keepalive_probes"), None);
    assert_eq!((modules(m), modules(w)), (vec!["br_netfilter"], vec!["mine", "br_netfilter"]));
}

#[test]
fn of_several_roles_the_last_is_the_strongest() {
    let cluster = cluster(
        "
roles:
  worker: {interface: eth3}
  etcd: {interface: eth1, disk: /dev/sda}
  control-plane: {interface: eth2, disk: /dev/sdb}
nodes:
  all: {roles: [worker, control-plane], address: 10.0.0.2}
  m: {role: control-plane, address: 10.0.0.3}
  n: {role: control-plane, address: 10.0.0.4}
",
    );
    assert_eq!(class(&cluster, "all").roles, [Role::Etcd, Role::ControlPlane, Role::Worker]);
    assert_eq!(class(&cluster, "all").interface.as_deref(), Some("eth3"));
    assert_eq!(class(&cluster, "all").disk.as_deref(), Some("/dev/sdb"));
    assert_eq!(class(&cluster, "m").interface.as_deref(), Some("eth2"));
}

#[test]
fn an_override_of_one_node_is_its_own() {
    for nodes in [
        "{a: {role: control-plane, address: 10.0.0.2, taints: !override []}, b: {role: control-plane, address: 10.0.0.3}}",
        "{b: {role: control-plane, address: 10.0.0.3}, a: {role: control-plane, address: 10.0.0.2, taints: !override []}}",
    ] {
        let cluster = cluster(&format!("nodes: {nodes}"));
        assert!(class(&cluster, "a").taints.is_empty(), "{nodes}");
        assert_eq!(class(&cluster, "b").taints, ["node-role.kubernetes.io/master:NoSchedule"], "{nodes}");
    }
    let cluster = cluster(
        "
defaults: {labels: {x: y}}
nodes: {m: {role: control-plane, address: 10.0.0.2}, a: {role: worker, address: 10.0.0.3}, b: {role: worker, address: 10.0.0.4, labels: !override {}}}
",
    );
    assert_eq!((class(&cluster, "a").labels.len(), class(&cluster, "b").labels.len()), (1, 0));
}

const CHANGES: &str = "
defaults:
  services:
    mine:
      image: mine:1
      labels: {io.rancher.os.scope: system}
      environment: [A=1, B=1, C]
      volumes: [/opt/a:/a]
      command: [a, b]
nodes:
  m: {role: control-plane, address: 10.0.0.2}
  w: {role: worker, address: 10.0.0.3, services: {mine: CHANGE}}
";

#[test]
fn a_service_is_changed_key_by_key() {
    let cluster = cluster(&CHANGES.replace("CHANGE", "{command: [c], volumes: [/opt/b:/b], restart: always, environment: {B: 2, A: ~}}"));
    let rendered = |key| rendered(&cluster, "w", "mine", key);
    let texts = |texts: &[&str]| Value::Texts(texts.iter().map(|text| (*text).to_owned()).collect());
    assert_eq!(rendered("image"), Value::Text("mine:1".to_owned()));
    assert_eq!(rendered("command"), texts(&["c"]));
    assert_eq!(rendered("volumes"), texts(&["/opt/a:/a", "/opt/b:/b"]));
    assert_eq!(rendered("restart"), Value::Text("always".to_owned()));
    assert_eq!(rendered("environment"), texts(&["B=2", "C"]));
}

#[test]
fn an_override_drops_what_the_release_line_says_too() {
    let cluster = cluster(
        "
defaults: {services: {kube-proxy: {volumes: ['/opt/a:/a'], environment: [A=1], tty: true}}}
groups:
  lists: {role: worker, services: {kube-proxy: {volumes: !override ['/opt/b:/b'], environment: !override [B=1]}}}
  whole: {role: worker, services: {kube-proxy: !override {image: 'mine:1', labels: {io.rancher.os.scope: system}}}}
nodes:
  m: {role: control-plane, address: 10.0.0.2}
  w: {group: lists, address: 10.0.0.3}
  x: {group: whole, address: 10.0.0.4}
",
    );
    assert_eq!(rendered(&cluster, "w", "kube-proxy", "volumes"), Value::Texts(vec!["/opt/b:/b".to_owned()]));
    assert_eq!(rendered(&cluster, "w", "kube-proxy", "environment"), Value::Texts(vec!["B=1".to_owned()]));
    assert_eq!(rendered(&cluster, "w", "kube-proxy", "tty"), Value::Flag(true));
    let planned = class(&cluster, "x").services.iter().find(|planned| planned.name == "kube-proxy").unwrap();
    let mut keys = Vec::new();
    planned.service.visit(|key, _| keys.push(key));
    assert_eq!(keys, ["image", "labels"]);
}

#[test]
fn an_override_before_a_whole_level_leaves_nothing_of_the_weaker_ones() {
    let cluster = cluster(
        "
defaults: {interface: eth1, modules: [a]}
nodes:
  m: {role: control-plane, address: 10.0.0.2}
  w: !override {role: worker, address: 10.0.0.3}
  x: !override {role: worker, address: 10.0.0.4, modules: [b]}
  y: {role: worker, address: 10.0.0.5}
",
    );
    let settings = |node| (class(&cluster, node).interface.as_deref(), modules(class(&cluster, node)));
    assert_eq!(settings("w"), (None, vec![]));
    assert_eq!(settings("x"), (None, vec!["b"]));
    assert_eq!(settings("y"), (Some("eth1"), vec!["br_netfilter", "a"]));
}

#[test]
fn variables_written_as_a_list_merge_like_a_mapping() {
    let environment = |change: &str| {
        let Value::Texts(texts) = rendered(&cluster(&CHANGES.replace("CHANGE", change)), "w", "mine", "environment") else {
            panic!("a list")
        };
        texts
    };
    assert_eq!(environment("{environment: [B=2, D]}"), ["A=1", "B=2", "C", "D"]);
    assert_eq!(environment("{environment: !override [D=4]}"), ["D=4"]);
    assert_eq!(environment("{environment: !override {D: 4}}"), ["D=4"]);
    assert_eq!(environment("{environment: {C: 3}}"), ["A=1", "B=1", "C=3"]);
    assert_eq!(environment("{environment: {C: ~}}"), ["A=1", "B=1"]);
    assert_eq!(environment("{environment: [A]}"), ["B=1", "C", "A"]);
}

#[test]
fn a_variable_that_is_named_twice_is_refused() {
    assert_eq!(errors(&CHANGES.replace("CHANGE", "{environment: [D, D]}")), [("duplicate-item", "D".to_owned())]);
    assert_eq!(errors(&CHANGES.replace("CHANGE", "{environment: [D, D=1]}")), [("duplicate-item", "D=1".to_owned())]);
    assert_eq!(errors(&CHANGES.replace("CHANGE", "{environment: [D=1, D]}")), [("duplicate-item", "D".to_owned())]);
}

#[test]
fn a_key_that_a_node_cannot_read_is_refused() {
    for settings in [
        "environment: {ä: b}",
        "environment: {null: b}",
        "docker: {log_opts: {$private_ipv4: b}}",
        "services: {kubelet: {labels: {null: b}}}",
        "services: {kubelet: {log_opt: {ä: b}}}",
    ] {
        let errors = errors(&format!("defaults: {{{settings}}}\nnodes: {{a: {{roles: [control-plane, worker], address: 10.0.0.2}}}}"));
        assert!(errors.iter().any(|(code, _)| *code == "unfit-value"), "{settings}: {errors:?}");
    }
}

#[test]
fn a_flag_is_added_replaced_or_taken_away() {
    let cluster = cluster(
        "
defaults: {components: {etcd: {args: {max-wals: 1, logger: ~}}, kubelet: {args: {v: 1}}}}
nodes:
  m: {role: control-plane, address: 10.0.0.2, components: {etcd: {args: {auto-compaction-retention: 2h}}}}
  w: {role: worker, address: 10.0.0.3, components: {kubelet: {args: {v: 2}}}}
  x: {role: worker, address: 10.0.0.4}
",
    );
    assert_eq!(flag(&cluster, "m", "etcd", "auto-compaction-retention"), "2h");
    assert_eq!(flag(&cluster, "m", "etcd", "max-wals"), "1");
    assert_eq!(flag(&cluster, "w", "kubelet", "v"), "2");
    assert_eq!(flag(&cluster, "x", "kubelet", "v"), "1");
    let Value::Texts(words) = rendered(&cluster, "m", "etcd", "command") else { panic!("a list") };
    assert!(words.iter().all(|word| !word.starts_with("--logger")), "{words:?}");
}

#[test]
fn a_service_that_is_taken_away_is_awaited_by_none() {
    let cluster = cluster("defaults: {services: {kubelet: ~}}\nnodes: {a: {roles: [control-plane, worker], address: 10.0.0.2}}");
    let class = class(&cluster, "a");
    assert!(class.services.iter().all(|planned| planned.name != "kubelet"));
    let after: Vec<&str> = class.services.iter().filter_map(|planned| planned.service.label(crate::service::AFTER)).collect();
    assert!(after.len() > 5 && after.iter().all(|names| !names.split(',').any(|name| name == "kubelet")), "{after:?}");
}

#[test]
fn every_node_with_pods_has_a_subnet_of_its_own_and_none_the_first() {
    let cluster = cluster(
        "
nodes:
  e: {role: etcd, address: 10.0.9.9}
  m: {role: control-plane, address: 10.0.0.2}
  a-[1-300]: {role: worker, address: 10.0.1.1}
  b-[1-300]: {role: worker, address: 10.0.200.1}
",
    );
    let mut subnets = subnets(&cluster);
    assert_eq!(subnets.remove("e"), Some(None));
    let pods = cluster.network.pods;
    let different: BTreeSet<Ipv4Addr> = subnets
        .values()
        .map(|subnet| {
            let subnet = subnet.unwrap();
            assert_eq!(subnet.prefix(), 24);
            assert!(pods.contains(subnet.network()) && pods.contains(subnet.broadcast()), "{subnet}");
            assert_ne!(subnet.network(), pods.network());
            subnet.network()
        })
        .collect();
    assert_eq!(different.len(), 601);
}

#[test]
fn the_number_of_a_subnet_is_the_offset_of_the_address() {
    let cluster = cluster("nodes: {a: {role: control-plane, address: 10.0.0.2}, b: {role: worker, address: 10.0.1.5}}");
    assert_eq!(cluster.nodes[0].bridge().as_deref(), Some("10.128.2.1/24"));
    assert_eq!(cluster.nodes[1].bridge().as_deref(), Some("10.129.5.1/24"));
}

#[test]
fn a_further_node_changes_no_other_nodes_subnet() {
    let nodes = "  a: {role: control-plane, address: 10.0.0.2}\n  b-[1-50]: {role: worker, address: 10.0.7.1}\n";
    let (before, after) = (
        cluster(&format!("nodes:\n{nodes}")),
        cluster(&format!("nodes:\n  c-[1-9]: {{role: worker, address: 10.0.3.1}}\n{nodes}  d: {{role: worker, address: 10.0.0.3}}\n")),
    );
    let (before, after) = (subnets(&before), subnets(&after));
    assert_eq!(after.len(), before.len() + 10);
    assert!(before.iter().all(|(name, subnet)| after[name] == *subnet));
}

#[test]
fn subnets_do_not_collide_where_there_are_more_addresses_than_subnets() {
    let source = |nodes: &str| HEAD.replace("10.128.0.0/10", "10.128.0.0/22") + &format!("nodes: {{{nodes}}}");
    let three = "a: {role: control-plane, address: 10.0.0.2}, b: {role: worker, address: 10.0.0.5}, c: {role: worker, address: 10.0.0.8}";
    let (cluster, ..) = plan(&source(three));
    let bridges: Vec<String> = cluster.unwrap().nodes.iter().map(|node| node.bridge().unwrap()).collect();
    assert_eq!(bridges, ["10.128.2.1/24", "10.128.3.1/24", "10.128.1.1/24"], "all but the first, the later node takes the next");
    let (cluster, found, _) = plan(&source(&format!("{three}, d: {{role: worker, address: 10.0.0.9}}")));
    assert!(cluster.is_none());
    assert!(found.sorted().iter().any(|one| one.code.name() == "pod-network-small"));
}

#[test]
fn a_subnet_larger_than_the_pod_network_is_refused() {
    for prefix in [8, 9, 10, 11] {
        let source = HEAD.replace("gateway", &format!("node_prefix: {prefix}, gateway"));
        let (cluster, found, _) = plan(&format!("{source}nodes: {{a: {{role: control-plane, address: 10.0.0.2}}}}"));
        assert!(cluster.is_none());
        assert!(found.sorted().iter().any(|one| one.code.name() == "pod-network-small"), "{prefix}");
    }
}

#[test]
fn a_range_counts_addresses_and_macs_with_their_carry() {
    let cluster = cluster(
        "
nodes:
  m: {role: control-plane, address: 10.0.0.2}
  w-[09-11]: {role: worker, address: 10.0.0.255, mac: '52:54:00:00:ff:fe'}
",
    );
    let counted: Vec<String> =
        cluster.nodes[1..].iter().map(|node| format!("{} {} {}", node.name, node.address.unwrap(), node.mac.unwrap())).collect();
    assert_eq!(counted, ["w-09 10.0.0.255 52:54:00:00:ff:fe", "w-10 10.0.1.0 52:54:00:00:ff:ff", "w-11 10.0.1.1 52:54:00:01:00:00"]);
    assert_eq!(class(&cluster, "w-09").roles, [Role::Worker]);
}

#[test]
fn a_range_that_runs_out_of_the_network_or_into_another_node_is_refused() {
    let range = |address: &str, mac: &str| {
        errors(&format!(
            "
nodes:
  m: {{role: control-plane, address: 10.0.1.3, mac: '52:54:00:00:00:03'}}
  w-[1-3]: {{role: worker, address: {address}, mac: '{mac}'}}
"
        ))
    };
    let marked = |code, text: &str| vec![(code, text.to_owned())];
    assert_eq!(range("10.0.1.1", "52:54:00:00:01:00"), marked("duplicate-address", "10.0.1.1"));
    assert_eq!(range("10.0.255.253", "52:54:00:00:01:00"), marked("address-outside", "10.0.255.253"));
    assert_eq!(range("10.0.2.1", "52:54:00:00:00:01"), marked("duplicate-mac", "'52:54:00:00:00:01'"));
    assert_eq!(range("10.0.2.1", "fe:ff:ff:ff:ff:fd"), []);
    assert_eq!(range("10.0.2.1", "fe:ff:ff:ff:ff:fe"), marked("invalid-value", "'fe:ff:ff:ff:ff:fe'"), "the third is a multicast address");
}

const THREE: &str = "\
api: {endpoint: 10.0.0.10, names: [api.example.com]}
nodes:
  m-[1-3]: {role: control-plane, address: 10.0.0.11}
  w: {role: worker, address: 10.0.0.21}
";

#[test]
fn three_control_plane_nodes_are_three_etcd_members() {
    let cluster = cluster(THREE);
    for node in ["m-1", "m-2", "m-3"] {
        assert_eq!(variable(&cluster, node, "etcd", "PEERS"), "m-1=10.0.0.11 m-2=10.0.0.12 m-3=10.0.0.13");
        assert_eq!(variable(&cluster, node, "etcd", "FOUNDERS"), "m-1 m-2 m-3");
        assert_eq!(flag(&cluster, node, "kube-apiserver", "etcd-servers"), format!("https://10.0.0.1{}:2379", &node[2..]));
        assert_eq!(flag(&cluster, node, "etcd", "name"), node);
    }
    assert_eq!(flag(&cluster, "m-2", "etcd", "initial-advertise-peer-urls"), "https://10.0.0.12:2380");
    let endpoints = "https://10.0.0.11:2379,https://10.0.0.12:2379,https://10.0.0.13:2379";
    assert_eq!(flag(&cluster, "w", "flannel", "etcd-endpoints"), endpoints);
    assert!(class(&cluster, "w").services.iter().all(|planned| planned.name != "etcd"));
}

#[test]
fn where_etcd_is_named_the_control_plane_is_no_member() {
    let cluster = cluster("nodes:\n  m: {role: control-plane, address: 10.0.0.2}\n  e-[1-3]: {role: etcd, address: 10.0.0.11}\n");
    let members: Vec<&str> = cluster.etcd.members.iter().map(|index| cluster.nodes[*index].name.as_str()).collect();
    assert_eq!(members, ["e-1", "e-2", "e-3"]);
    assert_eq!(class(&cluster, "m").roles, [Role::ControlPlane]);
    assert!(class(&cluster, "e-1").services.iter().all(|planned| planned.name != "kubelet"));
}

fn api_server(cluster: &Cluster, node: usize) -> String {
    let mut found = Diagnostics::default();
    let node = node::lower(cluster.node_at(node), &Contexts::new(cluster), &mut found);
    let file = node.files.into_iter().find(|file| file.path.ends_with("/kubelet.kubeconfig")).unwrap();
    let FileContent::Text(text) = &file.content else { panic!("a text") };
    text.lines().find_map(|line| line.trim().strip_prefix("server: ")).unwrap().to_owned()
}

#[test]
fn workers_use_the_load_balancers_address_and_the_control_plane_itself() {
    let cluster = cluster(THREE);
    assert_eq!((cluster.api.host.as_deref(), cluster.api.port), (Some("10.0.0.10"), 6443));
    assert_eq!(cluster.api.names, ["api.example.com"]);
    assert_eq!(api_server(&cluster, 0), "https://127.0.0.1:6443");
    assert_eq!(api_server(&cluster, 3), "https://10.0.0.10:6443");
}

#[test]
fn the_endpoint_is_a_nodes_address_or_a_name_of_somebody_elses() {
    let host = |api: &str| cluster(&THREE.replace("{endpoint: 10.0.0.10, names: [api.example.com]}", api)).api.host.unwrap();
    assert_eq!(host("{endpoint: m-2}"), "10.0.0.12");
    assert_eq!(host("{endpoint: 10.0.0.13}"), "10.0.0.13");
    assert_eq!(host("{endpoint: api.example.com}"), "api.example.com");
    assert_eq!(host("{port: 443}"), "10.0.0.11", "without one, the first");
}

#[test]
fn only_nodes_that_differ_share_no_class() {
    let cluster = cluster(
        "
groups: {g: {role: worker}}
nodes:
  m: {role: control-plane, address: 10.0.0.2}
  a: {role: worker, address: 10.0.0.3}
  b-[1-5]: {role: worker, address: 10.0.0.4}
  c: {group: g, address: 10.0.0.20}
  d: {role: worker, address: 10.0.0.30, labels: {x: y}}
  e: {role: worker, address: 10.0.0.31}
",
    );
    let classes: Vec<usize> = cluster.nodes.iter().map(|node| node.class).collect();
    assert_eq!(classes, [0, 1, 1, 1, 1, 1, 1, 2, 3, 1]);
}

#[test]
fn every_text_of_the_profile_that_can_be_a_template_is_rendered() {
    let cluster = cluster(
        "
defaults:
  modules: [!template 'mod_{{ node.name }}']
  sysctl: {x.y: !template '{{ node.name }}'}
  environment: {E: !template '{{ node.name }}'}
  docker:
    extra_args: [!template '--label=name={{ node.name }}']
    storage_driver: !template '{{ \"overlay2\" }}'
    log_driver: !template '{{ \"json-file\" }}'
    log_opts: {tag: !template '{{ node.name }}'}
nodes: {one: {roles: [control-plane, worker], address: 10.0.0.2}}
",
    );
    let mut found = Diagnostics::default();
    let node = node::lower(cluster.node_at(0), &Contexts::new(&cluster), &mut found);
    assert!(found.is_empty(), "{:?}", found.sorted());
    assert_eq!(node.modules, ["br_netfilter", "mod_one"]);
    assert!(node.sysctl.contains(&("x.y".to_owned(), "one".to_owned())));
    assert_eq!(node.environment, [("E".to_owned(), "one".to_owned())]);
    assert_eq!(node.engine.extra_args.last().unwrap(), "--label=name=one");
    assert_eq!(node.engine.storage_driver.as_deref(), Some("overlay2"));
    assert_eq!(node.engine.log_driver.as_deref(), Some("json-file"));
    // The OS's own options are for json-file, which a template may be or not.
    let options = [("tag", "one"), ("max-size", ""), ("max-file", "")];
    assert_eq!(node.engine.log_opts, options.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn a_template_of_docker_that_fails_is_marked() {
    let profile = "defaults: {docker: {log_driver: !template '{{ nothing }}'}}\nnodes: {a: {role: control-plane, address: 10.0.0.2}}";
    let (cluster, mut found, sources) = plan(&format!("{HEAD}{profile}"));
    let cluster = cluster.unwrap();
    node::lower(cluster.node_at(0), &Contexts::new(&cluster), &mut found);
    let errors: Vec<_> = found.sorted().into_iter().filter(|one| one.code.name() == "template").collect();
    let span = errors[0].span.unwrap();
    assert_eq!(&sources.get(span.source).text[span.start as usize..span.end as usize], "'{{ nothing }}'");
}

const MIXED: &str = "
groups: {moving: {role: worker, address: dhcp}}
nodes:
  m: {role: control-plane, address: 10.0.0.2}
  s: {role: worker, address: 10.0.0.3}
  w-[1-2]: {group: moving}
  x: {group: moving, address: 10.0.0.9}
";

#[test]
fn a_node_by_dhcp_learns_its_address_and_leases_its_subnet() {
    let cluster = cluster(MIXED);
    let addresses: Vec<bool> = cluster.nodes.iter().map(|node| node.address.is_some()).collect();
    assert_eq!(addresses, [true, true, false, false, true], "a node's own address is stronger than its group's");
    let subnets = subnets(&cluster);
    assert_eq!((subnets["w-1"], subnets["w-2"]), (None, None));
    let names = |node| class(&cluster, node).services.iter().map(|planned| planned.name.clone()).collect::<BTreeSet<_>>();
    let more: Vec<_> = names("w-1").difference(&names("s")).cloned().collect();
    assert_eq!(more, ["flannel-subnet", "node-address"]);
    assert_eq!(flag(&cluster, "w-1", "kubelet", "node-ip"), "$NODE_ADDRESS");
    assert_eq!(flag(&cluster, "s", "kubelet", "node-ip"), "10.0.0.3");
    let Value::Texts(words) = rendered(&cluster, "w-2", "flannel", "command") else { panic!() };
    assert_eq!(words[..3], ["sh", "/opt/kubernetes/with-learned.sh", "flanneld"]);
}

#[test]
fn leased_subnets_and_those_of_known_addresses_share_no_address() {
    let (mixed, still) = (cluster(MIXED), cluster(&MIXED.replace(", address: dhcp", "").replace("  w-[1-2]: {group: moving}\n", "")));
    let reserved = mixed.network.reserved.unwrap();
    assert_eq!((reserved.to_string().as_str(), still.network.reserved), ("10.128.0.0/11", None));
    let known = subnets(&mixed);
    assert!(known.values().flatten().all(|subnet| reserved.contains(subnet.network()) && reserved.contains(subnet.broadcast())));
    assert_eq!(known["s"], subnets(&still)["s"], "a node by DHCP changes no other one's subnet");
    let Value::Texts(environment) = rendered(&mixed, "m", "flannel-network", "environment") else { panic!() };
    assert!(environment.contains(&"FLANNEL_RESERVED=10.128.0.0-11".to_owned()), "{environment:?}");
}

#[test]
fn a_control_plane_by_dhcp_has_a_name() {
    let nodes = "nodes:\n  m-[1-3]: {role: control-plane, address: dhcp}\n";
    assert_eq!(errors(nodes), [("dhcp-without-name", "m-[1-3]".to_owned())]);
    let named = HEAD.replace("network: {", "network: {node_domain: rack.example.com, ") + nodes;
    let (cluster, found, sources) = plan(&named);
    let cluster = cluster.unwrap_or_else(|| panic!("{}", text(&found, &sources, Style::Plain)));
    assert_eq!(cluster.api.host.as_deref(), Some("m-1.rack.example.com"));
    assert_eq!(flag(&cluster, "m-2", "etcd", "advertise-client-urls"), "https://m-2.rack.example.com:2379");
    assert_eq!(flag(&cluster, "m-2", "etcd", "listen-peer-urls"), "https://$NODE_ADDRESS:2380");
    let members = ["m-1", "m-2", "m-3"].map(|name| format!("{name}={name}.rack.example.com")).join(" ");
    assert_eq!(variable(&cluster, "m-3", "etcd", "PEERS"), members);
}

#[test]
fn an_order_that_is_added_to_a_service_of_the_os_keeps_the_oss_own() {
    let cluster = cluster(
        "defaults: {services: {docker: {labels: {io.rancher.os.after: 'network,mine'}}, mine: {image: 'a:1', labels: {io.rancher.os.scope: system}}}}
nodes: {a: {roles: [control-plane, worker], address: 10.0.0.2}}",
    );
    let Value::Pairs(labels) = rendered(&cluster, "a", "docker", "labels") else { panic!("labels") };
    assert_eq!(labels, [("io.rancher.os.after".to_owned(), "console,network,mine".to_owned())]);
}

#[test]
fn what_the_os_and_the_line_say_has_no_place_in_the_profile() {
    let cluster = cluster(
        "
defaults: {services: {console: {volumes: ['/opt/a:/a']}}, sysctl: {vm.swappiness: 1}}
nodes: {m: {role: control-plane, address: 10.0.0.2}}
",
    );
    let class = class(&cluster, "m");
    let console = class.services.iter().find(|planned| planned.name == "console").unwrap();
    let written: Vec<_> = console.service.volumes.iter().filter(|one| one.span.is_some()).map(|one| one.text.as_str()).collect();
    assert_eq!(written, ["/opt/a:/a"]);
    assert!(console.service.volumes.items.len() > 1, "the OS's own are there too");
    let written: Vec<_> = class.sysctl.iter().filter(|(_, value)| value.span.is_some()).map(|(name, _)| name.as_str()).collect();
    assert_eq!(written, ["vm.swappiness"]);
    assert!(class.sysctl.len() > 1, "the line's own are there too");
}

#[test]
fn a_variable_is_looked_up_as_the_os_does() {
    let warned = |environment: &str| {
        let service = "mine: {image: 'a:1', environment: [A, B*], labels: {io.rancher.os.scope: system}}";
        let (_, found, _) = plan(&format!(
            "{HEAD}defaults: {{environment: {environment}, services: {{{service}}}}}\nnodes: {{a: {{roles: [control-plane, worker], address: 10.0.0.2}}}}"
        ));
        found.sorted().iter().filter(|one| one.code.name() == "empty-variable").count()
    };
    assert_eq!(warned("{A: 1, B1: 1}"), 0);
    assert_eq!(warned("{mine/A: 1, B: 1}"), 0);
    assert_eq!(warned("{other/A: 1, C: 1}"), 2);
}

/// A cluster of today, with this in its `network`.
fn of_today(network: &str, rest: &str) -> Cluster {
    let head = HEAD
        .replace("rancheros-1.5", "burmillaos-2.0")
        .replace("kubernetes-1.20", "kubernetes-1.37")
        .replace("network: {", &format!("network: {{{network}, "));
    let (cluster, found, sources) = plan(&format!("{head}{rest}"));
    cluster.unwrap_or_else(|| panic!("{}", text(&found, &sources, Style::Plain)))
}

#[test]
fn without_flannel_a_node_has_nothing_of_it() {
    let without = of_today("backend: none", MIXED);
    let with = of_today("backend: vxlan", MIXED);
    let names = |cluster: &Cluster, node: &str| -> BTreeSet<String> {
        class(cluster, node).services.iter().map(|planned| planned.name.clone()).collect()
    };
    let less = |node| names(&with, node).difference(&names(&without, node)).cloned().collect::<Vec<_>>();
    assert_eq!(less("m"), ["flannel", "flannel-network"]);
    assert_eq!(less("w-1"), ["flannel", "pod-subnet"]);
    let files = ["m", "s", "w-1"].map(|node| class(&without, node).files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>());
    assert!(!files.iter().flatten().any(|path| ["flannel", "cni", "pod-subnet"].iter().any(|word| path.contains(word))), "{files:?}");
    assert!(with.images.names.contains_key("flannel") && !without.images.names.contains_key("flannel"));
    assert!(subnets(&without).values().all(Option::is_none) && without.network.reserved.is_none());
    let allocates = |cluster: &Cluster| flag(cluster, "m", "kube-controller-manager", "allocate-node-cidrs");
    assert_eq!((allocates(&without).as_str(), allocates(&with).as_str()), ("true", "false"));
    assert_eq!(flag(&without, "m", "kube-controller-manager", "node-cidr-mask-size"), "24");
    let Value::Texts(volumes) = rendered(&without, "s", "containerd", "volumes") else { panic!("a list") };
    assert!(volumes.contains(&"/run/kubernetes/cni:/etc/cni/net.d".to_owned()), "{volumes:?}");
}

#[test]
fn kube_proxy_may_be_left_out() {
    let cluster = of_today("backend: none", &format!("defaults: {{services: {{kube-proxy: ~}}}}{MIXED}"));
    for node in ["m", "s", "w-1"] {
        assert!(!class(&cluster, node).services.iter().any(|planned| planned.name == "kube-proxy"), "{node}");
        rendered(&cluster, node, "kubelet", "command");
    }
}

#[test]
fn packets_of_pods_are_as_small_as_flannels_backend_wants_them() {
    for (backend, mtu) in [("vxlan", 1450), ("host-gw", 1500), ("wireguard", 1420)] {
        assert_eq!(of_today(&format!("backend: {backend}"), MIXED).network.pod_mtu, mtu, "{backend}");
    }
}

const BOTH: &str = "
cluster: a
target: burmillaos-2.0
line: kubernetes-1.37
network:
  nodes: [10.0.0.0/16, fd00::/64]
  pods: [10.128.0.0/10, fd00:1::/48]
  services: [10.96.0.0/16, fd00:2::/112]
  gateway: [10.0.0.1, fd00::1]
nodes:
  m: {role: control-plane, address: 10.0.0.11}
  w-[1-2]: {role: worker, address: [10.0.1.1, 'fd00::ffff']}
";

#[test]
fn a_node_has_an_address_and_a_subnet_of_each_family() {
    let cluster = plan(BOTH).0.unwrap();
    let of = |node: &ClusterNode| [node.ipv6.unwrap().to_string(), node.subnet.unwrap().to_string(), node.ipv6_subnet.unwrap().to_string()];
    let nodes: Vec<_> = cluster.nodes.iter().map(of).collect();
    assert_eq!(nodes[0], ["fd00::b", "10.128.11.0/24", "fd00:1:0:b::/64"]);
    assert_eq!(nodes[1], ["fd00::ffff", "10.129.1.0/24", "fd00:1:0:101::/64"]);
    assert_eq!(nodes[2], ["fd00::1:0", "10.129.2.0/24", "fd00:1:0:102::/64"]);
    assert_eq!(cluster.network.pod_mtu, 1430);
    assert_eq!(flag(&cluster, "m", "kubelet", "node-ip"), "10.0.0.11,fd00::b");
    assert_eq!(flag(&cluster, "m", "flannel", "public-ipv6"), "fd00::b");
    assert_eq!(flag(&cluster, "m", "kube-apiserver", "service-cluster-ip-range"), "10.96.0.0/16,fd00:2::/112");
    assert_eq!(flag(&cluster, "m", "kube-controller-manager", "cluster-cidr"), "10.128.0.0/10,fd00:1::/48");
    let config: serde_json::Value = serde_json::from_str(&variable(&cluster, "m", "flannel-network", "FLANNEL_CONFIG")).unwrap();
    assert_eq!(
        (&config["EnableIPv6"], &config["IPv6Network"], &config["IPv6SubnetLen"]),
        (&true.into(), &"fd00:1::/48".into(), &64.into())
    );
    assert_eq!(sysctl(class(&cluster, "m"), "net.ipv6.conf.all.forwarding"), Some("1"));
    let node = node::lower(cluster.node_at(0), &Contexts::new(&cluster), &mut Diagnostics::default());
    let file = |name: &str| match &node.files.iter().find(|file| file.path.ends_with(name)).unwrap().content {
        FileContent::Text(text) => text.clone(),
        _ => panic!("{name}"),
    };
    assert!(file("subnet.env").contains("FLANNEL_IPV6_NETWORK=fd00:1::/48\nFLANNEL_IPV6_SUBNET=fd00:1:0:b::1/64\n"));
    assert!(file("kube-proxy.yaml").contains("\"10.128.0.0/10,fd00:1::/48\""));
    let cni: serde_json::Value = serde_json::from_str(&file("10-flannel.conflist")).unwrap();
    assert_eq!(cni["plugins"][0]["ipam"]["ranges"][1][0]["subnet"], "fd00:1:0:b::/64");
    assert_eq!(cni["plugins"][0]["ipam"]["routes"][1]["dst"], "::/0");
}

#[test]
fn without_flannel_the_controller_manager_has_both_prefix_lengths() {
    let cluster = plan(&BOTH.replace("  gateway", "  backend: none\n  node_prefix: [24, 60]\n  gateway")).0.unwrap();
    let flag = |name| flag(&cluster, "m", "kube-controller-manager", name);
    assert_eq!((flag("node-cidr-mask-size-ipv4"), flag("node-cidr-mask-size-ipv6")), ("24".to_owned(), "60".to_owned()));
}

#[test]
fn nothing_turns_ipv6_off_in_a_cluster_that_has_it() {
    let of = |more: &str| {
        let (_, found, _) = plan(&format!("{BOTH}defaults: {{{more}}}"));
        found.sorted().iter().filter(|one| one.severity() == Severity::Error).map(|one| one.code.name()).collect::<Vec<_>>()
    };
    assert_eq!(of("sysctl: {net.ipv6.conf.all.disable_ipv6: '1'}"), ["decided-sysctl"]);
    assert_eq!(of("sysctl: {net.ipv6.conf.all.forwarding: '0'}"), ["decided-sysctl"]);
    assert_eq!(of("kernel_args: [ipv6.disable=1]"), ["decided-kernel-arg"]);
    assert!(of("sysctl: {net.ipv6.conf.eth0.disable_ipv6: '0'}").is_empty());
}
