use super::answer::{Node, Unready};
use super::*;
use crate::change::Manifest;

const MANIFEST: &str = r#"{"remuda": "0", "cluster": "a", "target": "t", "os_version": "1", "line": "l",
  "facts": {"versions": {"kubelet": "1.37.2"}, "nodes": {
    "e-1": "10.0.0.9 etcd", "m-1": "10.0.0.1 etcd control-plane", "m-2": "dhcp etcd control-plane", "w-1": "10.0.0.3 worker"}},
  "files": {"nodes/e-1/cloud-config.yml": "", "nodes/m-1/cloud-config.yml": "", "nodes/m-2/cloud-config.yml": "", "nodes/w-1/cloud-config.yml": ""},
  "configs": {"e-1": "00e1", "m-1": "00a1", "m-2": "00a2", "w-1": "00b1"}, "certificates": {"cluster": "2044-12-31", "user alice": "2027-01-30"}}"#;

fn manifest() -> Manifest {
    Manifest::read("manifest.json", MANIFEST).unwrap()
}

fn node(config: &str, address: &str) -> Node {
    Node { config: Some(config.to_owned()), kubelet: "1.37.2".to_owned(), addresses: vec![address.to_owned()], ..Node::default() }
}

/// Everything as in [`MANIFEST`].
fn good() -> Answers {
    let nodes = [("m-1", "00a1", "10.0.0.1"), ("m-2", "00a2", "10.0.0.7"), ("w-1", "00b1", "10.0.0.3")];
    Answers {
        nodes: nodes.into_iter().map(|(name, config, address)| (name.to_owned(), node(config, address))).collect(),
        failed: Vec::new(),
        servers: vec!["10.0.0.1".to_owned(), "10.0.0.7".to_owned()],
    }
}

fn status(change: impl FnOnce(&mut Answers)) -> Status {
    let mut answers = good();
    change(&mut answers);
    Status::of("out/a", &manifest(), &answers)
}

/// The problems, each with its node.
fn problems(status: &Status) -> Vec<String> {
    status.nodes.iter().flat_map(|node| node.problems.iter().map(move |problem| format!("{}: {problem}", node.name))).collect()
}

#[test]
fn all_as_the_tree_says_and_a_node_that_is_only_in_etcd_is_no_problem() {
    let status = status(|_| {});
    assert!(status.is_as_the_tree_says);
    assert_eq!(
        text(&status, true),
        "\
a: 4 nodes, all as out/a says

NODE  STATE  CONFIG  KUBELET
e-1   -      -       -        only in etcd: the API doesn't know such nodes
m-1   Ready  00a1    1.37.2
m-2   Ready  00a2    1.37.2
w-1   Ready  00b1    1.37.2

API servers   on m-1, m-2
API and etcd  ready; members e-1, m-1, m-2
certificates  cluster: until 2044-12-31
certificates  user alice: until 2027-01-30
"
    );
}

#[test]
fn each_way_to_differ_is_a_problem_of_its_node() {
    let of = |change: fn(&mut Node)| {
        let status = status(|answers| answers.nodes.values_mut().next_back().into_iter().for_each(change));
        assert!(!status.is_as_the_tree_says);
        problems(&status).join("\n")
    };
    assert_eq!(of(|node| node.config = Some("00b0".to_owned())), "w-1: the tree has 00b1: it hasn't booted with it");
    assert!(of(|node| node.config = None).starts_with("w-1: it doesn't say which config it runs"));
    assert_eq!(of(|node| node.kubelet = "1.36.3".to_owned()), "w-1: the tree has kubelet 1.37.2");
    assert_eq!(of(|node| node.unready = Some(Unready::Silent(Some("noon".to_owned())))), "w-1: last heard of noon");
    assert_eq!(of(|node| node.unready = Some(Unready::Silent(None))), "w-1: never heard of");
    assert_eq!(of(|node| node.unready = Some(Unready::Says("no network".to_owned()))), "w-1: no network");
    assert!(status(|answers| answers.nodes.values_mut().for_each(|node| node.is_cordoned = true)).is_as_the_tree_says);
}

#[test]
fn nodes_that_only_one_side_has() {
    let status = status(|answers| {
        let gone = answers.nodes.remove("w-1").unwrap();
        answers.nodes.insert("w-0".to_owned(), gone);
    });
    let [new, missing] = &problems(&status)[..] else { panic!("{status:?}") };
    assert!(new.starts_with("w-0: not in the tree") && missing.starts_with("w-1: the API doesn't know it"), "{status:?}");
    assert_eq!(status.nodes.last().unwrap().state, State::Missing);
}

#[test]
fn an_api_server_that_is_away_is_known_by_its_address_also_where_the_node_learned_it() {
    let status = status(|answers| drop(answers.servers.pop()));
    assert_eq!((status.servers.up.join(" "), problems(&status).join("")), ("m-1".to_owned(), "m-2: its API server is away".to_owned()));
    assert!(text(&status, false).contains("API servers   on m-1; away on m-2\n"));
}

#[test]
fn a_failing_check_of_the_api_is_no_nodes_problem() {
    let status = status(|answers| answers.failed.push("etcd".to_owned()));
    assert!(!status.is_as_the_tree_says && problems(&status).is_empty());
    let page = text(&status, false);
    assert!(page.starts_with("a: 4 nodes as out/a says, but the API isn't ready\n"), "{page}");
    assert!(page.contains("API and etcd  not ready: etcd; members"), "{page}");
}

#[test]
fn only_what_is_wrong_is_red() {
    let status = status(|answers| drop(answers.nodes.remove("w-1")));
    let page = text(&status, true);
    let red: Vec<&str> = page.lines().filter(|line| line.contains('\u{1b}')).collect();
    assert!(red.len() == 1 && red[0].starts_with("\u{1b}[31mw-1  ") && red[0].ends_with("\u{1b}[0m"), "{page}");
    assert!(!text(&status, false).contains('\u{1b}'));
}
