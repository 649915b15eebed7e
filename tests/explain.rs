//! `explain` shows what `gen` writes: for every profile of the project and every way in which images reach a node.

mod common;

use remuda::build::{self, Paths, Project};
use remuda::plan::{Archive, Cluster};
use remuda::terms::{Arch, Delivery, Digest, EngineName};
use remuda::tree::Intent;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const DELIVERIES: [&str; 4] = [
    "images: {delivery: preload}",
    "images: {delivery: registry, registry: '10.0.0.9:5000'}",
    "images: {delivery: url, url: 'http://10.0.0.9/images'}",
    "images: {delivery: drive}",
];

/// Clusters with more nodes than this say nothing new here.
const MOST_NODES: usize = 20;

/// The profiles in `profiles/` and the good ones in `tests/`.
fn profiles() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("profiles"), root.join("tests")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A profile's text with another delivery; `None` where its own `images` says more than a line can.
fn with_delivery(text: &str, delivery: &str) -> Option<String> {
    let mut lines: Vec<&str> = text.lines().collect();
    match lines.iter().position(|line| line.starts_with("images:")) {
        None => lines.push(delivery),
        Some(at) if lines.get(at + 1).is_none_or(|next| !next.starts_with(' ')) && !lines[at].contains("components") => {
            lines[at] = delivery
        }
        Some(_) => return None,
    }
    Some(lines.join("\n") + "\n")
}

/// Archives as `gen` notes them, of every image that the cluster has.
fn archives(cluster: &Cluster) -> Vec<Archive> {
    let digest = |name: &String| (name.clone(), Digest::of(name.as_bytes()));
    let archive = |engine: EngineName, arch: Arch| Archive {
        engine,
        arch,
        file: format!("{engine}-{arch}-0123456789ab.tar"),
        size: 1,
        sha256: remuda::terms::sha256(engine.as_str().as_bytes()),
        images: cluster.images.names.values().map(digest).collect(),
    };
    let arches: Vec<Arch> = cluster.arches().into_iter().collect();
    EngineName::ALL.iter().flat_map(|engine| arches.iter().map(|arch| archive(*engine, *arch))).collect()
}

/// The service of a page of `explain`, as it stands in a config: below `rancher.services`.
fn in_config(page: &str) -> String {
    let service = page.split_once('\n').unwrap().1.split("# set in:\n").next().unwrap();
    service.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") }).collect()
}

/// Holds what `explain` shows of every service against what `gen` writes; the number of services.
fn compare(project: &mut Project, out: &Path) -> usize {
    // A first tree, whose manifest says what is packed.
    let draft = project.draft().unwrap_or_else(|error| panic!("{error}"));
    let root = project.root(draft.name());
    assert!(root.starts_with(out.to_str().unwrap()));
    let unpacked = draft.with(Vec::new());
    if unpacked.nodes.len() > MOST_NODES {
        return 0;
    }
    let packed = archives(&unpacked);
    let draft = project.draft().unwrap();
    let made_from = project.made_from(&draft).unwrap();
    let first = draft.made_from(made_from).with(packed);
    if build::write(&first, &root, Intent::Write { force: false }, None).unwrap().found.has_errors() {
        return 0;
    }
    let cluster = project.cluster().unwrap();
    let mut compared = 0;
    for of in cluster.node_refs() {
        let config = root.join("nodes").join(&of.node.name).join("cloud-config.yml");
        let written = std::fs::read_to_string(config).unwrap();
        for planned in &of.class.services {
            let explained = in_config(&build::service_page(of, &planned.name, &project.sources).unwrap());
            assert!(written.contains(&explained), "{} of {}:\n{explained}", planned.name, of.node.name);
            let fetches = matches!(cluster.images.delivery, Delivery::Url | Delivery::Drive) && planned.name == "component-images";
            assert!(!fetches || explained.contains("0123456789ab"), "no archive is named:\n{explained}");
            compared += 1;
        }
    }
    compared
}

#[test]
fn explain_and_gen_agree_for_every_profile_and_delivery() {
    let (mut compared, mut deliveries) = (0, BTreeMap::new());
    for path in profiles() {
        let text = std::fs::read_to_string(&path).unwrap();
        for delivery in DELIVERIES {
            let Some(text) = with_delivery(&text, delivery) else { continue };
            let folder = tempfile::tempdir().unwrap();
            let (out, profile) = (folder.path().join("out"), folder.path().join("p.yaml"));
            std::fs::write(&profile, text).unwrap();
            let lock = path.with_extension("lock");
            if lock.exists() {
                std::fs::copy(lock, folder.path().join("p.lock")).unwrap();
            }
            let paths = Paths { out: Some(out.clone().try_into().unwrap()), ..Paths::of(profile.to_str().unwrap()) };
            let Ok(mut project) = Project::open(paths) else { continue };
            // Bad profiles are compared too, as far as they give a cluster.
            if project.draft().is_err() {
                continue;
            }
            compared += compare(&mut project, &out);
            *deliveries.entry(delivery).or_insert(0) += 1;
        }
    }
    assert!(compared > 1000, "{compared} services");
    assert!(deliveries.len() == 4 && deliveries.values().all(|count| *count > 10), "{deliveries:?}");
}

#[test]
fn explain_says_where_nothing_is_packed_yet() {
    let folder = tempfile::tempdir().unwrap();
    let profile = "\
cluster: small
target: rancheros-1.5
line: kubernetes-1.20
network: {nodes: 10.0.0.0/16, gateway: 10.0.0.1}
images: {delivery: url, url: 'http://10.0.0.9/images'}
nodes: {m: {roles: [control-plane, worker], address: 10.0.0.2}}
";
    std::fs::write(folder.path().join("p.yaml"), profile).unwrap();
    let output = common::ok(folder.path(), &["explain", "m", "component-images", "-p", "p.yaml"]);
    assert!(common::text(&output.stderr).contains("no image tarballs are packed yet"));
}

/// Its config as `explain` must list it: each service, each file, and every line of the rest.
#[test]
fn explain_lists_all_that_a_node_gets_and_the_lines_that_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let profile = "\
cluster: small
target: burmillaos-2.0
line: kubernetes-1.37
network:
  nodes: 10.0.0.0/16
  gateway: 10.0.0.1
defaults:
  sysctl: {vm.swappiness: 0}
groups:
  fast:
    role: worker
    labels: {disk: nvme}
    services:
      mine:
        image: 'mine:1'
        privileged: true
        mem_limit: 100000000
        labels: {io.rancher.os.scope: system}
    files:
      /opt/mine/a:
        content: |
          one
          two
        owner: '7'
      /opt/mine/b: {content: AAAA, encoding: base64}
    os:
      rancher: {debug: true}
  slow:
    role: worker
    labels: {disk: tape}
nodes:
  m: {role: control-plane, address: 10.0.0.2}
  w-[1-2]:
    group: fast
    address: 10.0.1.1
    sysctl: {vm.max_map_count: 262144}
";
    std::fs::write(folder.path().join("cluster.yaml"), profile).unwrap();
    common::ok(folder.path(), &["gen", "--no-images"]);
    let page = common::text(&common::ok(folder.path(), &["explain", "w-2"]).stdout);
    let line = |part: &str| page.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("no {part} in\n{page}"));
    assert!(line("  mine ").ends_with("set in cluster.yaml: 15-18"), "{page}");
    assert!(line(" /opt/mine/a ").contains(", of 7; set in cluster.yaml: 20"), "{page}");
    assert!(line(" /opt/mine/b ").ends_with("; set in cluster.yaml: 25"), "{page}");
    let after = |part: &str| page.split_once(part).unwrap().1.lines().nth(1).unwrap();
    assert_eq!(after("set for this node in:"), "  cluster.yaml: 8, 11-12, 14-18, 20, 22-25, 27, 33-36", "{page}");
    assert_eq!(after("set for the whole cluster in:"), "  cluster.yaml: 1-3, 5-6", "{page}");
    // The rest is what the config has, line by line.
    let script = "
import json, sys, yaml
page, config = json.load(sys.stdin)
config = yaml.safe_load(config)
names = [page.count('\\n  %-26s after ' % name) for name in config['rancher'].pop('services')]
files = [page.count(' %-56s by ' % file['path']) for file in config.pop('write_files')]
rest = page.split('the rest of its config:\\n')[1].split('\\n\\nset for')[0]
print(json.dumps([names, files, yaml.safe_load(rest) == config]))
";
    let config = std::fs::read_to_string(folder.path().join("out/small/nodes/w-2/cloud-config.yml")).unwrap();
    let judged = &common::python(script, &(page.clone(), config))[0];
    let all_there = |list: &serde_json::Value| list.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(|n| n != 0));
    assert!(all_there(&judged[0]) && all_there(&judged[1]) && judged[2] == true, "{judged}\n{page}");
}
